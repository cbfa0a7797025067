"""How the weights of a linear layer are stored: one table, by which a layer is recognised and read.

What no row recognises is refused by name: a weight that is read without its scales looks like a matrix and is not the
one that the layer computes with.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError
from sft.models.layers.packed_weights import is_packed, packed_numbers, unpacked
from sft.models.stored_kinds import TORCHAO_TRAINED

EXACT_TYPES = (torch.float32, torch.float64)
HALF_TYPES = (torch.bfloat16, torch.float16)
PLAIN_TYPES = (*EXACT_TYPES, *HALF_TYPES)
PLAIN_CLASSES = ("FalconLinear",)
"""Subclasses of `nn.Linear` with a forward pass of their own that computes the same."""
INT8_STEPS = 127.0
BITSANDBYTES = ("bitsandbytes 4-bit", "bitsandbytes 8-bit")


@dataclass(frozen=True)
class Storage:
    """One kind of stored weights."""

    name: str
    recognizes: Callable[[Any], bool]
    """Whether the weights of a layer are stored so."""

    dequantize: Callable[[Any], torch.Tensor]
    """The matrix (out, in) that such a layer computes with, as a new tensor of any float type."""

    peft_reads: bool = True
    """Whether PEFT finds the same matrix where it reads weights itself, as for DoRA's norms."""

    numbers: Callable[[Any], int] | None = None
    """How many numbers that matrix has, where the layer's parameters are not these numbers or not them alone."""


def storage_of(layer: nn.Module) -> Storage:
    """The row of the table for a layer.

    Raises:
        UserError: kind model: no row recognises it.
    """
    storage = known_storage(layer)
    if storage is not None:
        return storage
    tensors = ", ".join(f"{name} {tensor.dtype}".replace("torch.", "") for name, tensor in _tensors(layer).items())
    known = ", ".join(row.name for row in STORAGES)
    text = f"weights of {type(layer).__name__} ({tensors or 'no tensors'}) cannot be read as a matrix"
    raise UserError(f"{text}; known are {known}; init_lora_weights: true reads no weights", kind="model")


def known_storage(layer: nn.Module) -> Storage | None:
    """The row of the table for a layer, or None where no row recognises it."""
    return next((storage for storage in STORAGES if storage.recognizes(layer)), None)


def gradient_stop(model: Any) -> str | None:
    """Why nothing can be trained beside the quantised weights of a loaded model; None where a gradient passes them."""
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is None:
        return None
    for module in model.modules():
        if getattr(module, "SUPPORTS_TRAINING", None) is False:
            return f"the kernels {type(module).__name__} only infer; leave backend out of model.quantization"
    asked = quantizer.quantization_config
    if asked.quant_method == "torchao":
        kind = type(asked.quant_type).__name__
        works = ", ".join(TORCHAO_TRAINED)
        return None if kind in TORCHAO_TRAINED else f"no gradient passes {kind} of torchao; it does with {works}"
    if quantizer.is_trainable:
        return None
    return f"no gradient passes weights stored as {asked.quant_method}; take another quantization, or none"


def stored_numbers(layer: nn.Module) -> int | None:
    """The weights of a layer, its bias included, where its parameters do not tell; None for any other layer.

    Scales, zero points and orders of inputs are no weights. What wraps a layer has the same attributes, and is none.
    """
    wraps = any(known_storage(child) is not None for child in layer.children())
    storage = None if wraps else known_storage(layer)
    if storage is None or storage.numbers is None:
        return None
    bias = getattr(layer, "bias", None)
    return storage.numbers(layer) + (bias.numel() if isinstance(bias, torch.Tensor) else 0)


def is_exact(layer: nn.Module) -> bool:
    """Whether a layer's weights are plain fp32 or fp64 numbers, which can be changed in place."""
    return _is_plain(layer) and layer.weight.dtype in EXACT_TYPES


def is_half(layer: nn.Module) -> bool:
    """Whether a layer is a linear one of plain 16-bit numbers."""
    return isinstance(layer, nn.Linear) and _is_plain(layer) and layer.weight.dtype in HALF_TYPES


def is_conv1d(layer: nn.Module) -> bool:
    """Whether a layer is a transformers `Conv1D` (GPT-2), whose weight is stored as (in, out)."""
    return type(layer).__name__ == "Conv1D" and type(layer).__module__ == "transformers.pytorch_utils"


def _tensors(layer: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(layer.named_parameters(recurse=False)), **dict(layer.named_buffers(recurse=False))}


def _weight_type(layer: nn.Module) -> type:
    return type(getattr(layer, "weight", None))


def _is_plain(layer: nn.Module) -> bool:
    """A layer with other tensors than weight and bias, or another forward pass, may scale what it stores."""
    computes = type(layer).forward is nn.Linear.forward or type(layer).__name__ in PLAIN_CLASSES or is_conv1d(layer)
    tensors = _tensors(layer)
    weight = tensors.get("weight")
    if not computes or weight is None or not tensors.keys() <= {"weight", "bias"}:
        return False
    return type(weight) in (torch.Tensor, nn.Parameter) and weight.dim() == 2 and weight.dtype in PLAIN_TYPES


def _plain(layer: Any) -> torch.Tensor:
    matrix: torch.Tensor = layer.weight.detach().clone()
    return matrix.T.contiguous() if is_conv1d(layer) else matrix


def _four_bit(layer: Any) -> torch.Tensor:
    from sft.models.layers.bitsandbytes_layers import read_4bit

    return read_4bit(layer)


def _eight_bit(layer: Any) -> torch.Tensor:
    """The scales move to `state` at the first forward pass; before it is quantised the weight is a float."""
    if layer.weight.dtype != torch.int8:
        return _plain(layer)
    scales: torch.Tensor = layer.weight.SCB if layer.weight.SCB is not None else layer.state.SCB
    codes: torch.Tensor = layer.weight.data.to(torch.float32)
    return codes * (scales.to(codes)[:, None] / INT8_STEPS)


def _weight_numbers(layer: Any) -> int:
    return int(layer.weight.numel())


def _hqq_numbers(layer: Any) -> int:
    return math.prod(layer.meta["shape"])


def _own_dequantize(layer: Any) -> torch.Tensor:
    from peft.utils.integrations import dequantize_module_weight

    matrix: torch.Tensor = dequantize_module_weight(layer)
    return matrix.detach()


def _is_fp8(layer: Any, scales: str, *classes: str) -> bool:
    weight = getattr(layer, "weight", None)
    if type(layer).__name__ not in classes or weight is None or getattr(layer, scales, None) is None:
        return False
    return bool(weight.dim() == 2 and weight.dtype in (torch.float8_e4m3fn, torch.float8_e5m2))


def _fp8_rows(layer: Any) -> torch.Tensor:
    """One scale per output, or one in all; the layers keep them as (out, 1) or (1, out)."""
    return _scaled(layer, layer.weight_scale.detach().reshape(-1, 1), (1, layer.weight.shape[1]))


def _fp8_blocks(layer: Any) -> torch.Tensor:
    """One scale per block of `block_size` outputs and inputs, the last ones cut off at the edges; or one in all."""
    rows, columns = getattr(layer, "block_size", None) or layer.weight.shape
    return _scaled(layer, layer.weight_scale_inv.detach(), (rows, columns))


def _scaled(layer: Any, scales: torch.Tensor, block: tuple[int, int]) -> torch.Tensor:
    weight: torch.Tensor = layer.weight.detach().to(torch.float32)
    scales = scales.to(torch.float32)
    if scales.numel() == 1:
        return weight * scales.reshape(())
    expected = tuple(-(-size // step) for size, step in zip(weight.shape, block, strict=True))
    if tuple(scales.shape) != expected:
        text = f"the scales of {type(layer).__name__} are {tuple(scales.shape)}; its weights need {expected}"
        raise UserError(text, kind="model")
    spread = scales.repeat_interleave(block[0], dim=0).repeat_interleave(block[1], dim=1)
    return weight * spread[: weight.shape[0], : weight.shape[1]]


STORAGES = (
    Storage("plain floats", _is_plain, _plain),
    Storage(BITSANDBYTES[0], lambda layer: _weight_type(layer).__name__ == "Params4bit", _four_bit),
    Storage(BITSANDBYTES[1], lambda layer: _weight_type(layer).__name__ == "Int8Params", _eight_bit),
    Storage("AWQ and GPTQ", is_packed, unpacked, numbers=packed_numbers),
    Storage(
        "HQQ",
        lambda layer: hasattr(layer, "W_q") and hasattr(layer, "dequantize"),
        _own_dequantize,
        numbers=_hqq_numbers,
    ),
    Storage("torchao", lambda layer: _weight_type(layer).__module__.startswith("torchao."), _own_dequantize),
    Storage(
        "fp8 blocks",
        lambda layer: _is_fp8(layer, "weight_scale_inv", "FP8Linear"),
        _fp8_blocks,
        False,
        _weight_numbers,
    ),
    Storage(
        "fp8 rows",
        lambda layer: _is_fp8(layer, "weight_scale", "FbgemmFp8Linear", "CompressedTensorsFP8Linear"),
        _fp8_rows,
        False,
        _weight_numbers,
    ),
)
