"""Bottleneck adapters, and where in a model they go."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sft.adapters.output_parts import add_part
from sft.adapters.passing import chooses_experts, layer_calls
from sft.exceptions import UserError
from sft.models.storages import is_conv1d

ATTENTION = re.compile(r"attention|attn", re.IGNORECASE)
"""What classes, or their places, are called that attend."""

EXPERTS = re.compile(r"^(.*?)\.[^.]*experts?(?:_\w+)?(?:\.|$)", re.IGNORECASE)
"""Of a layer in an expert, the module that weighs and sums the experts."""

FUNCTIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class BottleneckAdapter(nn.Module):
    """x + scaling * up(f(down(x))), computed in fp32, with up 0 at the start."""

    def __init__(self, size: int, options: Mapping[str, Any]) -> None:
        super().__init__()
        width = max(1, int(size / options["reduction_factor"]))
        self.down, self.up = nn.Linear(size, width), nn.Linear(width, size)
        self.function = FUNCTIONS[options["non_linearity"]]()
        self.dropout = nn.Dropout(options["dropout"])
        self.scaling = options["scaling"]
        for layer in (self.up.weight, self.up.bias, self.down.bias):
            nn.init.zeros_(layer)

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        """Of the shape and dtype of what is given."""
        hidden = self.dropout(self.function(self.down(output.to(self.down.weight.dtype))))
        change: torch.Tensor = self.scaling * self.up(hidden)
        return output + change.to(output.dtype)


def attach_bottlenecks(model: Any, options: Mapping[str, Any]) -> Any:
    """The model with an adapter at each place of `options["after"]`; all else is frozen.

    Args:
        model: the loaded base model; it is changed in place.
        options: of `BottleneckOptions`, all of them.

    Raises:
        UserError: kind model: the model has no such places.
    """
    found = adapter_places(model)
    kinds = ("attention", "feed_forward") if options["after"] == "both" else (options["after"],)
    for kind in kinds:
        if not found[kind]:
            others = ", ".join(other for other, places in found.items() if places) or "none of them"
            text = (
                f"adapter.after {options['after']!r}: {type(model).__name__} has no {kind} that is known; {others} is"
            )
            raise UserError(text, kind="model")
    model.requires_grad_(False)
    for kind in kinds:
        for name, size in found[kind].items():
            if options["reduction_factor"] > size:
                text = (
                    f"adapter.reduction_factor {options['reduction_factor']} is more than the {size} units of {name}"
                )
                raise UserError(text, kind="model")
            add_part(model.get_submodule(name), BottleneckAdapter(size, options))
    return model


def adapter_places(model: Any) -> dict[str, dict[str, int]]:
    """`attention` and `feed_forward`: by name, the modules that end one in a block, with the units that they give.

    It is the last linear layer that a text passes there, so before what is added or normalised after it. Of experts it
    is what sums them.

    Args:
        model: a loaded base model, in eval mode or not.
    """
    modules = dict(model.named_modules())
    calls = layer_calls(model, [name for name in modules if name])
    sizes = {call.name: call.shape[-1] for call in calls if call.shape}
    head = model.get_output_embeddings()
    places: dict[str, dict[str, str]] = {"attention": {}, "feed_forward": {}}
    for call in calls:
        block = _block_of(call.name, modules)
        layer = modules[call.name]
        if block is None or layer is head or not _multiplies(layer) or chooses_experts(model, call.name):
            continue
        attending = _attending(call.name, block, modules)
        if attending is not None:
            places["attention"][attending] = call.name
        else:
            experts = EXPERTS.match(call.name)
            places["feed_forward"][block] = experts[1] if experts else call.name
    return {kind: {name: sizes[name] for name in found.values()} for kind, found in places.items()}


def _block_of(name: str, modules: Mapping[str, nn.Module]) -> str | None:
    """The entry of the outermost list of modules that a module is in."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        if isinstance(modules[".".join(parts[:end])], nn.ModuleList):
            return ".".join(parts[: end + 1])
    return None


def _multiplies(layer: Any) -> bool:
    """Whether a module is a linear layer, however it is stored, or the matrices of joined experts."""
    if isinstance(getattr(layer, "out_features", None), int) and hasattr(layer, "in_features"):
        return True
    joined = "Experts" in type(layer).__name__ and any(weight.dim() > 2 for weight in layer.parameters(recurse=False))
    return joined or is_conv1d(layer)


def _attending(name: str, block: str, modules: Mapping[str, nn.Module]) -> str | None:
    """The outermost module of a block that attends and that a module is in."""
    parts = name.split(".")
    for end in range(block.count(".") + 2, len(parts)):
        outer = ".".join(parts[:end])
        if ATTENTION.search(type(modules[outer]).__name__) or ATTENTION.search(parts[end - 1]):
            return outer
    return None
