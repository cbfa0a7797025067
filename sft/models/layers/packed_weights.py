"""Integers of a few bits in 32-bit words, with a scale and a zero point per group of inputs: AWQ and GPTQ."""

from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError

AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
WORD_BITS = 32


def is_packed(layer: Any) -> bool:
    """Whether a layer keeps words as AWQ and GPTQ do; `unpacked` looks at what they are."""
    return hasattr(layer, "qweight")


def packed_numbers(layer: Any) -> int:
    """How many weights the words of a layer hold."""
    return int(layer.in_features) * int(layer.out_features)


def unpacked(layer: Any) -> torch.Tensor:
    """The fp32 matrix (out, in) of an AWQ (GEMM packing) or GPTQ layer.

    Raises:
        UserError: kind model: packed in another way.
    """
    bits = getattr(layer, "w_bit", getattr(layer, "bits", None))
    words: Any = layer.qweight
    zeros: Any = getattr(layer, "qzeros", None)
    scales: Any = getattr(layer, "scales", None)
    if bits not in (2, 4, 8) or not _are_words(words) or not _are_words(zeros) or scales is None:
        raise _unknown_packing(layer)
    inputs, outputs, groups = int(layer.in_features), int(layer.out_features), len(zeros)
    columns = outputs * bits // WORD_BITS
    if tuple(scales.shape) != (groups, outputs) or tuple(zeros.shape) != (groups, columns) or inputs % groups:
        raise _unknown_packing(layer)
    if tuple(words.shape) == (inputs, columns):
        return _awq(layer, bits)
    if tuple(words.shape) == (inputs * bits // WORD_BITS, outputs):
        return _gptq(layer, bits)
    raise _unknown_packing(layer)


def _are_words(tensor: Any) -> bool:
    return isinstance(tensor, torch.Tensor) and tensor.dim() == 2 and tensor.dtype == torch.int32


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
