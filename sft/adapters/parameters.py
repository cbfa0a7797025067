"""Counting a model's parameters."""

from typing import NamedTuple

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


def _numbers(parameter: nn.Parameter) -> int:
    if type(parameter).__name__ == "Params4bit":
        return 2 * parameter.numel() * parameter.element_size()
    return parameter.numel()
