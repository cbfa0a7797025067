"""A model with plain weights in place of stored ones, so that it can be changed and written as any other."""

from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError
from sft.models.storages import PLAIN_TYPES, known_storage

ATTRIBUTES = (
    "hf_quantizer",
    "quantization_method",
    "is_loaded_in_4bit",
    "is_loaded_in_8bit",
    "is_quantized",
    "_weight_conversions",
)
"""What transformers keeps with a quantised model, and by which it refuses to move and to write it."""


def dequantized(model: Any) -> Any:
    """The model, changed in place, with the matrices that its linear layers compute with as plain weights.

    Each has the type of the model's other weights.

    Raises:
        UserError: kind model: a layer's weights cannot be read.
    """
    for name, layer in list(model.named_modules()):
        storage = known_storage(layer)
        if storage is not None and not _is_float(layer):
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], _plain_layer(layer, storage.dequantize(layer), model.dtype))
    packed = next((name for name, tensor in model.named_parameters() if tensor.dtype not in PLAIN_TYPES), None)
    if packed is not None:
        layer = type(model.get_submodule(packed.rpartition(".")[0])).__name__
        raise UserError(f"the weights of {layer} ({packed}) cannot be read as plain ones", kind="model")
    for owner in (model, model.config):
        for attribute in (*ATTRIBUTES, "quantization_config"):
            vars(owner).pop(attribute, None)
    return model


def _is_float(layer: nn.Module) -> bool:
    """Whether a recognised layer computes with its own plain weights."""
    weight = getattr(layer, "weight", None)
    return type(weight) in (torch.Tensor, nn.Parameter) and weight.dtype in PLAIN_TYPES  # type: ignore[union-attr]


def _plain_layer(layer: Any, matrix: torch.Tensor, dtype: torch.dtype) -> nn.Module:
    """The layer that a matrix (out, in) and a layer's bias make, of the class that it had before it was quantised."""
    from transformers.pytorch_utils import Conv1D

    outputs, inputs = matrix.shape
    bias = getattr(layer, "bias", None)
    is_turned = getattr(layer, "source_cls", None) is Conv1D
    with torch.device("meta"):
        plain = Conv1D(outputs, inputs) if is_turned else nn.Linear(inputs, outputs, bias=bias is not None)
    weight = matrix.T.contiguous() if is_turned else matrix
    plain.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    if bias is not None:
        plain.bias = nn.Parameter(bias.detach().to(dtype), requires_grad=False)
    return plain
