"""The weight matrix of a layer as the layer computes with it, whatever form it is stored in."""

from typing import Any

import torch
from torch import nn

from sft.errors import UserError

AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
INT8_STEPS = 127.0
WORD_BITS = 32


def dequantize(layer: nn.Module) -> torch.Tensor:
    """The weights of a linear layer as a new fp32 tensor of shape (out, in), on the layer's device.

    Known: plain weights of any float type, bitsandbytes 4-bit and 8-bit (also after a forward pass, which moves the
    8-bit scales), AWQ (GEMM packing) and GPTQ layers, HQQ, torchao. A transformers `Conv1D`, which stores (in, out),
    is turned round. The layer is not changed.

    Raises:
        UserError: kind model: weights in a form that is not known, or repacked by a kernel.
    """
    with torch.no_grad():
        if hasattr(layer, "qweight"):
            return _packed(layer)
        if hasattr(layer, "W_q") or type(layer.weight).__module__.startswith("torchao."):
            from peft.utils.integrations import dequantize_module_weight

            matrix: torch.Tensor = dequantize_module_weight(layer)
            return matrix.detach().to(torch.float32)
        return _unpacked(layer)


def is_conv1d(layer: nn.Module) -> bool:
    """Whether a layer is a transformers `Conv1D` (GPT-2), whose weight is stored as (in, out)."""
    return type(layer).__name__ == "Conv1D" and type(layer).__module__ == "transformers.pytorch_utils"


def _unpacked(layer: nn.Module) -> torch.Tensor:
    weight: Any = layer.weight
    kind = type(weight).__name__
    if kind == "Params4bit":
        return _four_bit(weight)
    if kind == "Int8Params" and weight.dtype == torch.int8:
        return _eight_bit(layer, weight)
    if not torch.is_floating_point(weight) or weight.dim() != 2:
        raise UserError(f"weights of {type(layer).__name__} ({weight.dtype}) cannot be read as a matrix", kind="model")
    matrix: torch.Tensor = weight.detach().to(torch.float32, copy=True)
    return matrix.T.contiguous() if is_conv1d(layer) else matrix


def _four_bit(weight: Any) -> torch.Tensor:
    import bitsandbytes.functional

    if getattr(weight.quant_state, "packing_format_for_cpu", False):
        raise UserError("4-bit weights were repacked for the CPU by a forward pass; load the model anew", kind="model")
    matrix: torch.Tensor = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)
    return matrix.to(torch.float32)


def _eight_bit(layer: nn.Module, weight: Any) -> torch.Tensor:
    state: Any = layer.state
    scales: torch.Tensor = weight.SCB if weight.SCB is not None else state.SCB
    codes: torch.Tensor = weight.data.to(torch.float32)
    return codes * (scales.to(codes)[:, None] / INT8_STEPS)


def _packed(layer: Any) -> torch.Tensor:
    """AWQ and GPTQ: integers of a few bits in 32-bit words, with a scale and a zero point per group of inputs."""
    bits = int(getattr(layer, "w_bit", getattr(layer, "bits", 0)))
    inputs, outputs = int(layer.in_features), int(layer.out_features)
    shape = tuple(layer.qweight.shape)
    if bits not in (2, 4, 8) or layer.scales.shape[-1] != outputs:
        raise _unknown_packing(layer)
    if shape == (inputs, outputs * bits // WORD_BITS):
        return _awq(layer, bits)
    if shape == (inputs * bits // WORD_BITS, outputs):
        return _gptq(layer, bits)
    raise _unknown_packing(layer)


def _awq(layer: Any, bits: int) -> torch.Tensor:
    if bits != 4:
        raise _unknown_packing(layer)
    order = torch.tensor(AWQ_ORDER, device=layer.qweight.device)
    codes = _columns(layer.qweight, bits)[..., order].flatten(1)
    zeros = _columns(layer.qzeros, bits)[..., order].flatten(1)
    group = torch.arange(codes.shape[0], device=codes.device) // (codes.shape[0] // zeros.shape[0])
    return _scaled(codes, zeros[group], layer.scales[group])


def _gptq(layer: Any, bits: int) -> torch.Tensor:
    codes = _columns(layer.qweight.T, bits).flatten(1).T
    zeros = _columns(layer.qzeros, bits).flatten(1)
    if _stores_zero_less_one(layer):
        zeros = (zeros + 1) & (2**bits - 1)
    group = getattr(layer, "g_idx", None)
    if group is None:
        group = torch.arange(codes.shape[0], device=codes.device) // (codes.shape[0] // zeros.shape[0])
    return _scaled(codes, zeros[group.long()], layer.scales[group.long()])


def _scaled(codes: torch.Tensor, zeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    weights = (codes - zeros).to(torch.float32) * scales.to(torch.float32)
    return weights.T.contiguous()


def _columns(words: torch.Tensor, bits: int) -> torch.Tensor:
    """(rows, words) of int32 to (rows, words, values per word), lowest bits first."""
    shifts = torch.arange(0, WORD_BITS, bits, device=words.device)
    values: torch.Tensor = (words.to(torch.int64)[..., None] >> shifts) & (2**bits - 1)
    return values


def _stores_zero_less_one(layer: Any) -> bool:
    """The first GPTQ format stores zero points less one; layers of the second say so by `qzero_format`."""
    written = getattr(layer, "qzero_format", 1)
    return int(written() if callable(written) else written) == 1


def _unknown_packing(layer: nn.Module) -> UserError:
    text = (
        f"the packed weights of {type(layer).__name__} cannot be read: known are AWQ GEMM (4 bits) and GPTQ (2, 4, 8 "
        "bits) as stored, before a kernel repacks them; init_lora_weights: true reads no weights"
    )
    return UserError(text, kind="model")
