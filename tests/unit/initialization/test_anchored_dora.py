"""DoRA with an anchor beside an untouched base is DoRA on the base from which that was taken off."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import load_adapter, save_adapter
from sft.initialization import apply
from sft.initialization.anchored_dora import AnchoredDora

OPTIONS = {"init_lora_weights": "pissa", "r": 4, "lora_alpha": 12}


@pytest.mark.parametrize("kind", ["fp32", "gpt2"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_it_computes_and_learns_as_on_a_moved_base(
    kind: str, dropout: float, make_model: Any, logits: Any, train_steps: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    options = {**OPTIONS, "lora_dropout": dropout}
    before = logits(make_model(kind))
    moved = attach_adapter(make_model(kind), "dora", options, Path(), 1)
    monkeypatch.setattr(apply, "holding_residual", lambda model, layers: set())
    anchored = attach_adapter(make_model(kind), "dora", options, Path(), 1)
    kinds = {
        type(variant) for layer in apply.adapter_layers(anchored) for variant in layer.module.lora_variant.values()
    }
    assert kinds == {AnchoredDora}
    assert (logits(anchored) - before).abs().max() < 1e-4
    trained = [name for name, weight in anchored.named_parameters() if weight.requires_grad]
    assert trained == [name for name, weight in moved.named_parameters() if weight.requires_grad]
    losses = []
    for model in (moved, anchored):
        torch.manual_seed(5)
        losses.append(train_steps(model))
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert (logits(anchored) - before).abs().max() > 0.1
    assert (logits(anchored) - logits(moved)).abs().max() < 5e-3
    save_adapter(anchored, "dora", tmp_path / "adapter")
    loaded = load_adapter(make_model(kind), tmp_path / "adapter")
    assert (logits(loaded) - logits(anchored)).abs().max() < 2e-4


def test_bias_of_the_base_is_not_scaled(make_model: Any, logits: Any, monkeypatch: Any) -> None:
    """DoRA scales what the weights give; the bias stands beside it."""
    monkeypatch.setattr(apply, "holding_residual", lambda model, layers: set())
    found = []
    for init in ("pissa", True):
        model = make_model("gpt2")
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.data.fill_(0.5)
        attached = attach_adapter(model, "dora", {**OPTIONS, "init_lora_weights": init}, Path(), 1)
        for name, weight in attached.named_parameters():
            if "lora_magnitude_vector" in name:
                weight.data.mul_(1.5)
        found.append(logits(attached))
    assert (found[0] - found[1]).abs().max() < 1e-4 * found[1].abs().max()
