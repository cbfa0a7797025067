"""How a LoRA training began, kept for one that is taken up in another process.

An initialisation may have moved base weights. Ours did it by an arithmetic of our own, which A0 and B0 repeat to the
last bit. PEFT's initialisations have theirs, so the weights that they moved are kept as they are; where the layer is
anchored instead, the base is untouched.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sft.adapters.lora.attach import build_lora
from sft.adapters.lora.initialization import InitChoice
from sft.exceptions import UserError
from sft.initialization.apply import anchor_rounded, holding_residual, initialize_from, write_factors
from sft.initialization.factors import initial_factors, load_factors, save_factors
from sft.initialization.layers import ADAPTER, adapter_layers

FACTORS = "factors.safetensors"
BASE = "base.safetensors"


def save_start(model: Any, options: Mapping[str, Any], folder: Path) -> None:
    """Write A0 and B0, and what PEFT moved; nothing where the base is untouched.

    Args:
        model: the `PeftModel` in training.
        options: those it was attached with.
        folder: an existing folder.
    """
    if not initial_factors(model):
        return
    save_factors(model, folder / FACTORS)
    if InitChoice.of(options.get("init_lora_weights", True)).moves_base:
        layers = adapter_layers(model)
        moved = holding_residual(model, layers)
        weights = {layer.name: layer.base_weight.contiguous() for layer in layers if layer.name in moved}
        save_file(weights, folder / BASE)


def own_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every tensor that is trained or belongs to the adapter, frozen parts and buffers included, by name."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.data for name, tensor in named if tensor.requires_grad or ADAPTER in name.split(".")}


def restored_lora(model: Any, options: Mapping[str, Any], folder: Path) -> Any:
    """The `PeftModel` on the base that `attach_lora` left behind; the values of A and B are to be loaded.

    Args:
        model: the loaded base model.
        options: those it was attached with.
        folder: what `save_start` wrote.

    Raises:
        UserError: the folder holds the start of another model.
    """
    choice = InitChoice.of(options.get("init_lora_weights", True))
    attached = build_lora(model, options, choice, initialized=not choice.moves_base)
    if not (folder / FACTORS).is_file():
        return attached
    factors = load_factors(folder / FACTORS)
    if choice.moves_base:
        _put_back(attached, folder / BASE)
        for layer in adapter_layers(attached):
            write_factors(layer, factors[layer.name])
        anchor_rounded(attached)
    else:
        initialize_from(attached, factors)
    return attached


def _put_back(model: Any, file: Path) -> None:
    weights, layers = load_file(file), adapter_layers(model)
    moved = holding_residual(model, layers)
    for layer in layers:
        saved, weight = weights.get(layer.name), layer.base_weight
        if layer.name not in moved:
            continue
        if saved is None or (saved.shape, saved.dtype) != (weight.shape, weight.dtype):
            raise UserError(f"{file} has other weights than layer {layer.name}")
        weight.copy_(saved)
