"""Layers of bitsandbytes, kept such that their weights can be read at any time.

Left alone, both kinds lose them at a forward pass. One without gradients in eval mode repacks 4-bit weights for good
on CPUs with AVX512-BF16: backward passes then give no gradient to what lies below, and weights are read as garbage.
8-bit weights give their scales away: whoever moves or dequantises them afterwards, as PEFT does for DoRA's norms on a
CPU, leaves a layer without any.
"""

from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear8bitLt
from torch import nn

from sft.exceptions import UserError

REPACKS = "support_avx512bf16_for_cpu"


class Kept8bitLayer(Linear8bitLt):  # type: ignore[misc]  # bitsandbytes is not typed
    """An 8-bit layer that goes on with the scales it has where its weights come without any."""

    def init_8bit_state(self) -> None:
        """Take over codes and scales of the weights, as a forward pass does with weights that are new to it."""
        scales = self.state.SCB if self.weight.SCB is None else self.weight.SCB
        super().init_8bit_state()
        self.state.SCB = scales


def keep_weights_readable(model: nn.Module) -> None:
    """Make the 4- and 8-bit layers of a freshly loaded model keep their weights as they are, in place."""
    for module in model.modules():
        if hasattr(module, REPACKS):
            vars(module)[REPACKS] = False
        if type(module) is Linear8bitLt:
            module.__class__ = Kept8bitLayer


def read_4bit(layer: Any) -> torch.Tensor:
    """The matrix (out, in) of a 4-bit layer, in the type that it was quantised from.

    Raises:
        UserError: kind model: a forward pass has repacked its weights.
    """
    if getattr(layer.weight.quant_state, "packing_format_for_cpu", False):
        raise UserError("4-bit weights were repacked for the CPU by a forward pass; load the model anew", kind="model")
    matrix: torch.Tensor = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    return matrix
