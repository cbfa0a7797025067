"""The trained part of SSF, and the layers of a model that get one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from sft.adapters.layer_sizes import is_named
from sft.adapters.output_parts import add_part
from sft.adapters.passing import PASSED_WHOLE, alike, chooses_experts, layer_calls
from sft.adapters.ssf.options import GROUPS, unmatched
from sft.exceptions import UserError
from sft.models.answering.heads import head_names, is_within
from sft.models.storages import is_conv1d


class Form(NamedTuple):
    """What a layer gives."""

    kind: str
    """`linear`, `norm` or `conv`."""

    shape: tuple[int, ...]
    """Of the scale."""

    channels_first: bool = False
    """Whether channels are the second axis, not the last ones."""


class ScaleAndShift(nn.Module):
    """y + y * scale + shift, with both 0 at the start, so that small steps are not rounded away beside a 1."""

    def __init__(self, form: Form, shift: bool) -> None:
        super().__init__()
        self.channels_first = form.channels_first
        self.scale = nn.Parameter(torch.zeros(form.shape))
        self.shift = nn.Parameter(torch.zeros(form.shape)) if shift else None

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        """The change is computed in fp32 and rounded once."""
        change = output * self._spread(self.scale, output)
        if self.shift is not None:
            change = change + self._spread(self.shift, output)
        return output + change.to(output.dtype)

    def _spread(self, vector: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        return vector.view(-1, *[1] * (output.dim() - 2)) if self.channels_first else vector


def attach_ssf(model: Any, options: Mapping[str, Any]) -> Any:
    """The model with a scale, and a shift where it is asked for, on each target; all else is frozen.

    Args:
        model: the loaded base model; it is changed in place.
        options: of `SsfOptions`, all of them.

    Raises:
        UserError: the targets match nothing, or what cannot have one.
    """
    forms = _eligible(model)
    chosen = _chosen(model, forms, options)
    model.requires_grad_(False)
    for name in chosen:
        layer = model.get_submodule(name)
        add_part(layer, ScaleAndShift(forms[name], options["shift"] and _shifts(layer, forms[name], options)))
    return model


def form_of(layer: Any) -> Form | None:
    """What a layer gives; None where SSF has no place on it."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        return Form("conv", (layer.out_channels,), channels_first=True)
    if isinstance(layer, nn.GroupNorm | nn.modules.batchnorm._BatchNorm):
        channels = layer.num_channels if isinstance(layer, nn.GroupNorm) else layer.num_features
        return Form("norm", (channels,), channels_first=True)
    if is_conv1d(layer):
        return Form("linear", (layer.nf,))
    if next(layer.children(), None) is not None:
        return None
    if isinstance(getattr(layer, "out_features", None), int) and hasattr(layer, "in_features"):
        return Form("linear", (layer.out_features,))
    return _norm_form(layer)


def _norm_form(layer: Any) -> Form | None:
    """By the name of its class: each model has its own RMS norm."""
    if "Norm" not in type(layer).__name__:
        return None
    if isinstance(layer, nn.LayerNorm):
        return Form("norm", tuple(layer.normalized_shape), getattr(layer, "data_format", "") == "channels_first")
    weight = getattr(layer, "weight", None)
    return Form("norm", tuple(weight.shape)) if isinstance(weight, torch.Tensor) and weight.dim() == 1 else None


def _eligible(model: Any) -> dict[str, Form]:
    """By name, the layers that can have a part: what a text passes, but for the head and what chooses experts."""
    head = head_names(model)
    forms = {
        name: form
        for name, layer in model.named_modules()
        if name
        and not is_within(name, head)
        and (form := form_of(layer)) is not None
        and not chooses_experts(model, name)
    }
    if model.config.model_type in PASSED_WHOLE:
        return forms
    fitting = [call for call in layer_calls(model, forms) if _fits(call.shape, forms[call.name])]
    found = alike(forms, fitting)
    return {name: form for name, form in forms.items() if name in found}


def _fits(shape: tuple[int, ...] | None, form: Form) -> bool:
    """Whether what a layer gave has an entry for each of the scale's."""
    if shape is None:
        return False
    return shape[1:2] == form.shape if form.channels_first else shape[-len(form.shape) :] == form.shape


def _shifts(layer: Any, form: Form, options: Mapping[str, Any]) -> bool:
    """Where a norm without a bias is followed by linear layers, their own shifts can do what its shift would."""
    has_bias = getattr(layer, "bias", None) is not None
    return (
        form.kind != "norm" or options["shift_norms"] == "all" or (options["shift_norms"] == "with_bias" and has_bias)
    )


def _chosen(model: Any, forms: Mapping[str, Form], options: Mapping[str, Any]) -> list[str]:
    for option, reason in unmatched(options, list(forms)).items():
        raise UserError(f"adapter.{option} {reason}", kind="model")
    targets = options["targets"]
    kinds = GROUPS.get(targets, ()) if isinstance(targets, str) else ()
    chosen = [name for name, form in forms.items() if form.kind in kinds or (not kinds and is_named(targets, name))]
    if not chosen:
        known = ", ".join(sorted({form.kind for form in forms.values()}))
        raise UserError(f"adapter.targets {targets!r}: {type(model).__name__} has none; it has {known}", kind="model")
    left = [name for name in chosen if not is_named(options["exclude"], name)]
    if not left:
        raise UserError("adapter.exclude takes every target out; leave some", kind="model")
    return left
