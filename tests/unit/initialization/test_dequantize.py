"""The weight matrix out of every stored form; the packed forms are made here, in plain torch."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sft.exceptions import UserError
from sft.initialization.utils import dequantize
from tests.support.packing import Codes, awq_tensors, gptq_tensors

INPUTS, OUTPUTS, GROUP = 64, 48, 16


def quantized(bits, shuffled=False):
    torch.manual_seed(3)
    codes = torch.randint(0, 2**bits, (INPUTS, OUTPUTS))
    zeros = torch.randint(1, 2**bits, (INPUTS // GROUP, OUTPUTS))
    scales = torch.rand(INPUTS // GROUP, OUTPUTS).half() / 10 + 0.01
    group = torch.arange(INPUTS) // GROUP
    return Codes(codes, zeros, scales, group[torch.randperm(INPUTS)] if shuffled else group)


class Packed(nn.Module):
    def __init__(self, buffers, **attributes):
        super().__init__()
        for name, value in buffers.items():
            self.register_buffer(name, value)
        for name, value in {"in_features": INPUTS, "out_features": OUTPUTS, **attributes}.items():
            setattr(self, name, value)


def awq_layer(attribute="w_bit"):
    made = quantized(4)
    return Packed(awq_tensors(made), **{attribute: 4}), made.weights


def gptq_layer(bits, shuffled=False, **attributes):
    made = quantized(bits, shuffled)
    return Packed(gptq_tensors(made, bits, version=2 if attributes else 1), bits=bits, **attributes), made.weights


@pytest.mark.parametrize(
    "made",
    [
        awq_layer(),
        awq_layer("bits"),
        gptq_layer(2),
        gptq_layer(4),
        gptq_layer(8),
        gptq_layer(4, shuffled=True),
        gptq_layer(4, qzero_format=2),
        gptq_layer(8, qzero_format=lambda: 2),
    ],
    ids=["awq", "awq-bits", "gptq2", "gptq4", "gptq8", "gptq4-act-order", "gptq4-v2", "gptq8-v2"],
)
def test_packed_integers_become_the_weights_they_stand_for(made):
    layer, weights = made
    found = dequantize(layer)
    assert found.dtype == torch.float32
    assert torch.equal(found, weights)


def test_a_packing_that_is_not_known_is_told():
    for layer in (Packed({"qweight": torch.zeros(5, 5), "scales": torch.zeros(4, OUTPUTS)}, bits=4), gptq_layer(4)[0]):
        layer.bits = 3 if layer.qweight.dtype == torch.int32 else 4
        with pytest.raises(UserError, match="packed weights of Packed cannot be read"):
            dequantize(layer)
    with pytest.raises(UserError, match="cannot be read as a matrix"):
        dequantize(nn.Conv2d(2, 2, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_plain_weights_come_as_a_copy_in_fp32(dtype):
    layer = nn.Linear(5, 3, bias=False, dtype=dtype)
    before = layer.weight.detach().clone()
    found = dequantize(layer)
    assert found.dtype == torch.float32
    assert torch.equal(found, before.float())
    found.zero_()
    assert torch.equal(layer.weight, before)


def test_conv1d_is_turned_round():
    from transformers.pytorch_utils import Conv1D

    layer = Conv1D(3, 5)
    assert torch.equal(dequantize(layer), layer.weight.T)


def effective(layer):
    """The weights a layer computes with, column by column, from its own forward pass."""
    with torch.no_grad():
        return layer(torch.eye(64)).T


@pytest.mark.parametrize(("kind", "tolerance"), [("nf4", 1e-5), ("int8", 0.02)])
def test_bitsandbytes_weights_are_those_the_layer_computes_with_also_after_a_forward(kind, tolerance, make_model):
    layer = make_model(kind).model.layers[0].self_attn.q_proj
    plain = make_model("fp32").model.layers[0].self_attn.q_proj.weight
    before = dequantize(layer)
    step = plain.abs().amax(dim=1, keepdim=True) / (127 if kind == "int8" else 3)
    assert ((before - plain).abs() <= 0.6 * step).all()
    assert (before - effective(layer)).abs().max() < tolerance
    layer.eval()
    effective(layer)
    assert torch.equal(dequantize(layer), before)


def test_four_bit_weights_that_were_repacked_are_refused():
    weight = SimpleNamespace(quant_state=SimpleNamespace(packing_format_for_cpu=True))
    layer = nn.Module()
    layer.weight = type("Params4bit", (), vars(weight))()
    with pytest.raises(UserError, match="repacked for the CPU"):
        dequantize(layer)
