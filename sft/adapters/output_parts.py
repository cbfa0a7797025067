"""Small trained modules that change what a layer gives, while the layer stays what and where it is.

A layer keeps its class, its weights and their names. So what reads its weights past it (tied heads, losses that
multiply by the head themselves), and every way of storing them, goes on as before.
"""

from typing import Any

import torch
from torch import nn

PART = "trained_part"
"""Name of the submodule, which stands in the names of its tensors."""


def add_part(layer: nn.Module, part: nn.Module) -> None:
    """Have `part` compute what `layer` gives from what it gave; of a tuple, from its first entry.

    Args:
        layer: of a loaded model, without such a part.
        part: takes one tensor and gives one of its shape and dtype; it is moved to the layer's device.
    """
    layer.add_module(PART, part.to(device_of(layer)))
    layer.register_forward_hook(_through_part)


def parts_of(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that have a part, by name; of one that stands in several places, the first."""
    return {name: layer for name, layer in model.named_modules() if PART in layer._modules}


def part_of(layer: nn.Module) -> Any:
    """The part of a layer that has one."""
    return layer.get_submodule(PART)


def remove_part(layer: nn.Module) -> None:
    """Leave a layer as it was before `add_part`."""
    delattr(layer, PART)
    for key in [key for key, hook in layer._forward_hooks.items() if hook is _through_part]:
        del layer._forward_hooks[key]


def device_of(layer: nn.Module) -> torch.device:
    """Where a layer computes; its weights may rest elsewhere until it does."""
    devices = [tensor.device for tensor in (*layer.parameters(), *layer.buffers())]
    if devices and devices[0].type != "meta":
        return devices[0]
    return torch.device(getattr(getattr(layer, "_hf_hook", None), "execution_device", None) or "cpu")


def _through_part(layer: nn.Module, _inputs: Any, output: Any) -> Any:
    """A function of the module alone and no closure, so that a copy of a model uses the parts of the copy."""
    part = layer._modules[PART]
    assert part is not None
    if isinstance(output, tuple):
        return (part(output[0]), *output[1:])
    return part(output)
