"""DoRA on a base from which s B0 A0 cannot be taken: PEFT's computation with that product taken off on the way.

DoRA gives m / |V| V x, V being the base weights W with s B A added and |V| the norms of its rows. Where an
initialisation began with B0 A0, V is W + s (B A - B0 A0): W itself at the start. The frozen second adapter holds A0
and -B0, so its product joins the base's, in the output as in the norms.
"""

from typing import Any

import torch
from peft.tuners.lora.variants import DoraLinearVariant
from peft.utils.integrations import dequantize_module_weight
from peft.utils.other import transpose
from torch import nn

from sft.initialization.layers import ADAPTER, ANCHOR, AdapterLayer


class AnchoredDora(DoraLinearVariant):  # type: ignore[misc]
    """How a layer with a DoRA adapter and an anchor computes."""

    @staticmethod
    def forward(
        module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        """The layer's output.

        Args:
            module: the LoRA layer.
            active_adapter: name of the adapter that is trained.
            x: (..., in) the layer's input.
            result: (..., out) what the base layer gave for it.
            kwargs: what PEFT hands to every variant; nothing of it concerns DoRA.
        """
        scaling, base = module.scaling[active_adapter], module.get_base_layer()
        lora_a, lora_b = module.lora_A[active_adapter], module.lora_B[active_adapter]
        anchor_a, anchor_b = module.lora_A[ANCHOR], module.lora_B[ANCHOR]
        weight = dequantize_module_weight(base).to(x.dtype)
        started = result + anchor_b(anchor_a(x)) * scaling
        dropped = module.lora_dropout[active_adapter](x)
        if dropped is x:
            seen = started if base.bias is None else started - base.bias
        else:
            matrix = transpose(weight, module.fan_in_fan_out)
            seen = nn.functional.linear(dropped, matrix) + anchor_b(anchor_a(dropped)) * scaling
        magnitude = module.lora_magnitude_vector[active_adapter]
        change = (lora_b.weight @ lora_a.weight + anchor_b.weight @ anchor_a.weight).detach().to(x.dtype)
        # The norm is a constant to the gradient (arXiv:2402.09353, section 4.3).
        norm = magnitude.get_weight_norm(weight, change, scaling).detach()
        scale = (magnitude.weight / norm).view(1, -1)
        whole: torch.Tensor = started + (scale - 1) * seen + scale * lora_b(lora_a(dropped)) * scaling
        return whole


def anchor_dora(layer: AdapterLayer) -> None:
    """Have a DoRA layer compute with its anchor, from the norms of the untouched base."""
    module, (a, b) = layer.module, layer.weights()
    magnitude = module.lora_magnitude_vector[ADAPTER]
    magnitude.update_layer(base_layer=layer.base, lora_A=a, lora_B=torch.zeros_like(b), scaling=layer.scaling)
    module.lora_variant[ADAPTER] = AnchoredDora()
