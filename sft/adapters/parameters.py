"""The parameters of a model in training: how many, which of them are trained, and how they are set back."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from sft.exceptions import StageFailure
from sft.initialization.layers import ANCHOR
from sft.models.storages import stored_numbers


class ParameterCounts(NamedTuple):
    """Numbers of parameters."""

    trainable: int
    total: int


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Trainable and all parameters of a model; packed weights count for what they hold, wherever a layer keeps them.

    The frozen copy that stands for weights taken off a quantised base is no parameter of the model.
    """
    trainable = total = 0
    counted: set[int] = set()
    for module in model.modules():
        numbers = stored_numbers(module)
        if numbers is not None:
            total += numbers
            counted.update(map(id, module.parameters()))
    for name, parameter in model.named_parameters():
        if f".{ANCHOR}." in name:
            continue
        numbers = _numbers(parameter)
        total += 0 if id(parameter) in counted else numbers
        trainable += numbers if parameter.requires_grad else 0
    return ParameterCounts(trainable, total)


def trained_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every tensor that is trained, by name."""
    return {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}


def set_tensors(own: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    """Give the tensors of a model's adapter the values they had, to the last bit.

    Args:
        own: the tensors in the model, by name.
        values: what they were, by the same names.

    Raises:
        StageFailure: of kind `checkpoint`: names, shapes or precisions are others.
    """
    others = sorted(set(own) ^ set(values))
    others += [name for name in own if name in values and _form(own[name]) != _form(values[name])]
    if others:
        raise StageFailure(f"the saved tensors do not fit the model: {others[0]} differs", kind="checkpoint")
    for name, tensor in own.items():
        tensor.copy_(values[name])


def _form(tensor: torch.Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def _numbers(parameter: nn.Parameter) -> int:
    """How many weights a parameter stands for: of a packed 4-bit one, each byte holds two."""
    if type(parameter).__name__ == "Params4bit":
        return 2 * parameter.numel() * parameter.element_size()
    return parameter.numel()
