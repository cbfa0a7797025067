"""What is refused because of how the base is stored, whatever the method."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from sft.adapters.method import adapter_method
from sft.adapters.support import refusal, require_support, support_matrix, unexportable
from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.pipeline.methods import matrix_record


@pytest.mark.parametrize(
    "storage", ["gguf", "mxfp4", "compressed-tensors", "torchao Int4WeightOnlyConfig", "SomeConfig"]
)
def test_a_storage_that_passes_no_gradient_refuses_every_method(storage: str):
    for method in ("lora", "ssf"):
        said = refusal(method, {}, storage, CAUSAL_LM)
        assert said is not None
        assert said.startswith(f"nothing can be trained beside weights stored as {storage}: ")
        assert f"; {method} works on plain, nf4" in said
        assert "these work" not in said
        assert "\n" not in said


def test_magnitudes_need_norms_that_peft_can_read():
    rows = support_matrix(CAUSAL_LM)
    assert {kind for kind, reason in rows["dora"].items() if reason is not None} == {"gptq", "awq", "fp8"}
    assert refusal("lora", {"use_dora": True}, "gptq", CAUSAL_LM)
    assert not any(rows["lora"].values())


def test_a_refusal_names_the_method_and_how_the_base_is_stored():
    said = refusal("unilora", {}, "int8", CAUSAL_LM)
    assert said is not None
    assert said.startswith("unilora on int8: no gradient reaches it there; unilora works on plain; on int8 these work")
    said = refusal("full", {}, "nf4", CAUSAL_LM)
    assert said is not None
    assert said.startswith("full trains the weights themselves")


def test_what_only_the_files_of_a_model_tell_is_refused_by_the_stage():
    packed = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    sections = {
        "dataset": {"path": "data.csv", "task_type": "classification", "shots": 4},
        "model": {"name": "someone/model-nf4"},
        "prompting": {"input_columns": ["text"], "output_column": "label"},
    }
    message = r"adapter\.method: loha on nf4: it computes with .*; loha works on plain, int8, torchao"
    for method, raised in (("lora", nullcontext()), ("loha", pytest.raises(UserError, match=message))):
        config = ExperimentConfig.model_validate(sections | {"adapter": {"method": method}})
        require_support(config, {}, CAUSAL_LM)
        with raised:
            require_support(config, {"quantization_config": packed}, CAUSAL_LM)


def test_a_quantised_base_becomes_one_model_with_what_is_merged_into_plain_weights() -> None:
    for method, storage in (("lora", "nf4"), ("ssf", "int8"), ("lora", "plain")):
        assert unexportable(method, {}, storage) is None
    assert "not linear" in str(unexportable("bottleneck", {}, "plain"))
    assert "quanto" in str(unexportable("lora", {}, "quanto"))


def test_the_matrix_says_of_one_model_what_a_plan_goes_by() -> None:
    (table,) = [table for table in matrix_record() if table["objective"] == "causal_lm"]
    merges = {entry["name"]: entry["merges"] for entry in table["methods"]}
    assert merges["lora"]["nf4"] is None
    assert merges["bottleneck"]["nf4"] is not None


def test_a_value_of_none_of_the_types_of_an_option_is_told_once_under_its_name() -> None:
    (found,) = adapter_method("ssf").check({"targets": 5}, Path())
    assert found.path == "targets"
    assert found.message == "5: input should be a valid string or a valid list"


def test_loftq_needs_weights_that_are_quantised_while_they_are_loaded():
    options = {"init_lora_weights": "loftq"}
    for storage in ("plain", "gptq"):
        told = refusal("lora", options, storage, CAUSAL_LM) or ""
        assert told.startswith(f"lora on {storage}: init_lora_weights loftq starts from what the model's quantisation")
        assert "lora works on nf4, fp4, int8, torchao, fp8" in told
    assert refusal("lora", options, "nf4", CAUSAL_LM) is None
    assert refusal("lora", {"init_lora_weights": "milora"}, "plain", CAUSAL_LM) is None
