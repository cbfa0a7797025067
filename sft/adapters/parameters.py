"""Counting a model's parameters, and the precision of the trained ones."""

from typing import NamedTuple

import torch
from torch import nn

from sft.initialization.apply import ANCHOR


class ParameterCounts(NamedTuple):
    """Numbers of parameters."""

    trainable: int
    total: int


def count_parameters(model: nn.Module) -> ParameterCounts:
    """Trainable and all parameters of a model; weights packed to 4 bits count each for what they hold.

    The frozen copy that stands for weights taken off a quantised base is no parameter of the model.
    """
    trainable = total = 0
    for name, parameter in model.named_parameters():
        if f".{ANCHOR}." in name:
            continue
        numbers = _numbers(parameter)
        total += numbers
        trainable += numbers if parameter.requires_grad else 0
    return ParameterCounts(trainable, total)


def trainable_to_fp32(model: nn.Module) -> int:
    """Recast 16-bit trainable parameters to fp32, in place; how many were recast.

    A bf16 parameter near 1 has steps of 2^-7, so that small updates are rounded away.
    """
    recast = 0
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            parameter.data = parameter.data.float()
            recast += 1
    return recast


def _numbers(parameter: nn.Parameter) -> int:
    if type(parameter).__name__ == "Params4bit":
        return 2 * parameter.numel() * parameter.element_size()
    return parameter.numel()
