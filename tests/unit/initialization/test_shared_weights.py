"""Weights that two layers share are never changed for one of them: the function stays, and reloading gives it back."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from peft.tuners.lora import LoraConfig

from sft.adapters.attach import attach_adapter, restore_adapter
from sft.adapters.method import adapter_method
from sft.adapters.saving import save_adapter
from sft.exceptions import UserError

OWN = """
import torch

def both(layer, rank, dtype=torch.bfloat16):
    rows, columns = layer.out_features, layer.in_features
    return {"lora_A": torch.ones(rank, columns, dtype=dtype), "lora_B": torch.full((rows, rank), 0.01, dtype=dtype)}
"""
REPEATED = {"layer_replication": [[0, 2], [0, 2], [1, 2]]}


def tied(model: Any) -> Any:
    """One projection of the second layer is that of the first."""
    first, second = (layer.self_attn for layer in model.model.layers)
    second.q_proj.weight = first.q_proj.weight
    return model


CASES = [
    ("fp32", REPEATED, "pissa"),
    ("fp32", REPEATED, "own.py:both"),
    ("fp32", {**REPEATED, "use_dora": True}, "pissa"),
    ("bf16", REPEATED, "pissa"),
    ("tied", {}, "pissa"),
    ("tied", {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1]}, "pissa"),
]


@pytest.mark.parametrize(("kind", "options", "init"), CASES, ids=str)
def test_the_function_stays_and_the_reloaded_model_is_the_trained_one(
    kind: str, options: Any, init: str, make_model: Any, logits: Any, train_steps: Any, tmp_path: Path
) -> None:
    def make() -> Any:
        return tied(make_model("fp32")) if kind == "tied" else make_model(kind)

    (tmp_path / "own.py").write_text(OWN)
    before = logits(get_peft_model(make(), LoraConfig(**{"r": 4, "target_modules": "all-linear", **options})))
    model = attach_adapter(make(), "lora", {"r": 4, "init_lora_weights": init, **options}, tmp_path, 1)
    assert (logits(model) - before).abs().max() < 1e-4
    (tmp_path / "start").mkdir()
    adapter_method("lora").save_start(model, {"init_lora_weights": init, **options}, tmp_path / "start")
    again = restore_adapter(make(), "lora", {"r": 4, "init_lora_weights": init, **options}, tmp_path / "start")
    assert torch.equal(logits(again), logits(model))
    train_steps(model)
    expected = logits(model)
    assert (expected - before).abs().max() > 0.1
    save_adapter(model, "lora", tmp_path / "adapter")
    apart = (logits(PeftModel.from_pretrained(make(), tmp_path / "adapter")) - expected).abs()
    assert apart.max() < (0.05 if kind == "bf16" else 1e-4)
    assert apart.median() < 1e-4


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["peft:pissa", "olora"])
def test_initialisations_that_move_each_layer_by_itself_are_refused(name: str, kind: str, make_model: Any) -> None:
    with pytest.raises(UserError, match=r"of PEFT moves weights once per layer, and .*q_proj shares its own"):
        attach_adapter(tied(make_model(kind)), "lora", {"r": 4, "init_lora_weights": name}, Path(), 1)
    with pytest.raises(UserError, match=r"of PEFT moves weights once per layer"):
        attach_adapter(make_model(kind), "lora", {"r": 4, "init_lora_weights": name, **REPEATED}, Path(), 1)


def test_repeated_layers_of_a_model_that_lists_their_kinds_are_refused() -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = Qwen2ForCausalLM(Qwen2Config(**sizes, num_key_value_heads=2, vocab_size=9))
    with pytest.raises(UserError, match=r"layer_replication: repeats the layers of this model but not its list"):
        attach_adapter(model, "lora", REPEATED, Path(), 1)
