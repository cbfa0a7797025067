"""Which trainings run the rows of a batch one by one."""

from pathlib import Path
from typing import Any

import pytest
from trl import SFTConfig

from sft.adapters.attach import attach_adapter
from sft.training.tree_models import trees_of
from tests.support.architectures import build_tiny_model

LONGEST = 20


def adapted(method: str = "lora", architecture: str = "llama", config: Any = None, **options: Any) -> Any:
    model = build_tiny_model(architecture, **(config or {}))
    return attach_adapter(model, method, {"task_type": "CAUSAL_LM", **options}, Path(), 1)


def sft_config(tmp_path: Path, **args: Any) -> SFTConfig:
    return SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **args)


def test_of_a_known_model_with_lora(tmp_path: Path) -> None:
    trees = trees_of(adapted(), sft_config(tmp_path), LONGEST)
    assert trees is not None
    assert (trees.hidden, trees.attends_in_full, trees.masks.window) == (32, False, None)
    eager = trees_of(adapted(config={"attention": "eager"}), sft_config(tmp_path), LONGEST)
    assert eager is not None
    assert eager.attends_in_full


@pytest.mark.parametrize(
    ("made", "args"),
    [
        ({"lora_dropout": 0.1}, {}),
        ({"config": {"attention_dropout": 0.1}}, {}),
        ({"architecture": "gpt2", "target_modules": ["c_attn"]}, {}),
        ({"architecture": "gptneox"}, {}),
        ({"method": "lokr", "module_dropout": 0.1}, {}),
        ({"method": "prompt_tuning"}, {}),
        ({"method": "adaption_prompt"}, {}),
        ({}, {"neftune_noise_alpha": 5.0}),
        ({}, {"packing": True}),
        ({}, {"padding_free": True}),
        ({"config": {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}}, {}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_rows_run_one_by_one(made: dict[str, Any], args: dict[str, Any], tmp_path: Path) -> None:
    longest = 2000 if "config" in made else LONGEST
    assert trees_of(adapted(**made), sft_config(tmp_path, **args), longest) is None


def test_weights_of_8_bits_find_their_scales_for_all_tokens_together(make_model, tmp_path: Path) -> None:
    four, eight = (attach_adapter(make_model(kind), "lora", {}, Path(), 1) for kind in ("nf4", "int8"))
    assert trees_of(four, sft_config(tmp_path), LONGEST) is not None
    assert trees_of(eight, sft_config(tmp_path), LONGEST) is None
