"""DoRA by its own name is LoRA with `use_dora`, to the last bit, and nothing else."""

from pathlib import Path

import pytest

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.method import adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

DORA = adapter_method("dora")


def saved(make_model, train_steps, folder, method, options):
    model = attach_adapter(make_model("fp32"), method, options, Path(), seed=7)
    train_steps(model)
    save_adapter(model, method, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("options", [{}, {"init_lora_weights": "pissa", "r": 4}], ids=str)
def test_it_is_lora_with_magnitudes(options, make_model, train_steps, tmp_path):
    dora = saved(make_model, train_steps, tmp_path / "dora", "dora", options)
    assert dora == saved(make_model, train_steps, tmp_path / "lora", "lora", {**options, "use_dora": True})
    assert dora != saved(make_model, train_steps, tmp_path / "plain", "lora", options)


def test_its_name_says_what_use_dora_says():
    assert DORA.check({"r": 4, "init_lora_weights": "pissa"}, Path()) == []
    (told,) = DORA.check({"use_dora": True}, Path())
    assert told == ("use_dora", "is what the method's name stands for; leave it out")
    assert "use_dora" not in DORA.known_defaults(continued=False)
    assert DORA.known_defaults(continued=False)["r"] == 8


@pytest.mark.parametrize("option", ["lora_bias", "use_qalora"])
def test_what_has_no_form_with_magnitudes_is_told(option):
    wanted = (option, "does not go with DoRA; leave it out")
    assert DORA.check({option: True}, Path()) == [wanted]
    assert wanted in adapter_method("lora").check({option: True, "use_dora": True}, Path())
    assert wanted not in adapter_method("lora").check({option: True}, Path())


@pytest.mark.parametrize("storage", ["plain", "nf4", "fp8", "awq"])
def test_where_the_norms_cannot_be_read_it_is_refused(storage):
    refused = DORA.supports({}, storage, CAUSAL_LM)
    assert (refused is not None) == (storage in ("fp8", "awq"))
    assert adapter_method("lora").supports({"use_dora": True}, storage, CAUSAL_LM) == refused
    assert adapter_method("lora").supports({}, storage, CAUSAL_LM) is None


def test_a_trained_one_is_gone_on_with_as_dora_or_lora_and_loaded_as_either(make_model, train_steps, logits, tmp_path):
    saved(make_model, train_steps, tmp_path / "dora", "dora", {})
    expected = logits(load_adapter(make_model("fp32"), tmp_path / "dora"))
    for method in ("dora", "lora"):
        again = continue_adapter(make_model("fp32"), method, {}, tmp_path / "dora")
        assert (logits(again) - expected).abs().max() < 1e-5


def test_a_lora_is_not_gone_on_with_as_dora(make_model, train_steps, tmp_path):
    saved(make_model, train_steps, tmp_path / "lora", "lora", {})
    (told,) = DORA.check_continued({}, tmp_path / "lora")
    assert told.message.endswith("is a lora adapter without magnitudes, not dora")
    with pytest.raises(UserError, match="without magnitudes, not dora"):
        DORA.continued(make_model("fp32"), {}, tmp_path / "lora")
