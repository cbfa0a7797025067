"""Layers of bitsandbytes whose weights others read between two forward passes."""

import copy
from typing import Any

import pytest
import torch

pytest.importorskip("bitsandbytes")


def computed(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(2, 12)[None]).logits


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_weights_that_peft_reads_between_forward_passes_stay_as_they_are(kind: str, make_model: Any):
    from peft.utils.integrations import dequantize_module_weight

    from sft.initialization.utils import dequantize

    model = make_model(kind)
    layer = model.model.layers[0].mlp.up_proj
    weights, before = dequantize(layer), computed(model)
    for _ in range(2):
        assert torch.allclose(dequantize_module_weight(layer).float(), weights, atol=1e-3)
        assert torch.equal(computed(model), before)
        assert torch.equal(dequantize(layer), weights)
    assert torch.equal(computed(copy.deepcopy(model)), before)


def test_eight_bit_weights_can_be_saved_after_a_forward_pass(make_model: Any):
    model = make_model("int8")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    computed(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert any(name.endswith(".SCB") for name in before)
