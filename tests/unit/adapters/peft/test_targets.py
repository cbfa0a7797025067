"""Targets that a method cannot work with are told by name; what PEFT stumbles over otherwise is no misfit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.adapters.attach import attach_adapter
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.exceptions import UserError

Make = Callable[[str], Any]


def attached(model: Any, name: str, **options: Any) -> Any:
    return attach_adapter(model, name, {TASK_TYPE: "CAUSAL_LM", **options}, Path(), 7)


@pytest.mark.parametrize(
    ("name", "targets", "told"),
    [
        ("tinylora", ["self_attn"], "model.layers.0.self_attn of class LlamaAttention, which is no linear layer"),
        ("tinylora", ["input_layernorm"], "model.layers.0.input_layernorm of class LlamaRMSNorm, which is no linear"),
        ("vera", ["q_proj", "rotary_emb"], "model.rotary_emb of class LlamaRotaryEmbedding, which is no linear layer"),
        ("c3a", r".*self_attn.*", "model.layers.0.self_attn of class LlamaAttention, which is no linear layer"),
        ("ln_tuning", ["act_fn"], "model.layers.0.mlp.act_fn of class SiLUActivation, which is no layer with weights"),
        ("trainable_tokens", ["norm"], "model.norm of class LlamaRMSNorm, which is no embedding; name such alone"),
    ],
    ids=["part", "norm", "one of two", "pattern", "no weights", "no embedding"],
)
def test_targets_that_a_method_cannot_work_with(name: str, targets: Any, told: str, make_model: Make) -> None:
    needed = {"token_indices": [3]} if name == "trainable_tokens" else {}
    with pytest.raises(UserError) as caught:
        attached(make_model("fp32"), name, target_modules=targets, **needed)
    assert f"adapter.target_modules: {targets!r} names {told}" in str(caught.value)


def test_what_is_taken_out_again_may_be_anything(make_model: Make) -> None:
    wide = {"target_modules": r".*self_attn.*", "exclude_modules": r".*self_attn"}
    names = attached(make_model("fp32"), "oft", **wide).base_model.targeted_module_names
    assert {name.rpartition(".")[2] for name in names} == {"q_proj", "k_proj", "v_proj", "o_proj"}


@pytest.mark.parametrize("index", [99, -1])
def test_tokens_that_the_model_does_not_have_are_told_by_the_plan_and_by_the_stage(
    index: int, make_model: Make
) -> None:
    options = {"token_indices": [3, index]}
    told = f"{index} is no token of this model, whose embedding has the rows 0 to 98"
    assert adapter_method("trainable_tokens").check_on_model(options, {"vocab_size": 99}) == [("token_indices", told)]
    assert adapter_method("trainable_tokens").check_on_model({"token_indices": [0, 98]}, {"vocab_size": 99}) == []
    with pytest.raises(UserError, match=told):
        attached(make_model("fp32"), "trainable_tokens", **options)


@pytest.mark.parametrize("error", [ValueError("not taken"), TypeError("no"), NotImplementedError("not yet")], ids=repr)
def test_what_peft_refuses_is_a_misfit(error: Exception, make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peft.get_peft_model", raising(error))
    with pytest.raises(UserError, match=f"^the adapter does not fit the model: {error}"):
        attached(make_model("fp32"), "vera")


@pytest.mark.parametrize("error", [KeyError("a"), AttributeError("b"), IndexError("c"), RuntimeError("d")], ids=repr)
def test_what_peft_stumbles_over_is_not(error: Exception, make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peft.get_peft_model", raising(error))
    with pytest.raises(type(error)) as caught:
        attached(make_model("fp32"), "vera")
    assert caught.value is error


def raising(error: Exception) -> Callable[..., Any]:
    def build(*_: Any) -> Any:
        raise error

    return build
