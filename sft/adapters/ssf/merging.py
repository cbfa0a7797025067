"""Scales and shifts as part of a base's own weights; what would not compute the same is refused by name.

y * (1 + scale) + shift is W * (1 + scale), row by row, and b * (1 + scale) + shift. A layer without a bias gets one
where the model's configuration has a setting for it, so that the merged model loads again. Norms differ in what they
make of their weight, so each is tried.
"""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sft.adapters.output_parts import part_of, parts_of, remove_part
from sft.adapters.ssf.tuner import form_of
from sft.exceptions import UserError
from sft.initialization.apply import shared_weights
from sft.models.storages import PLAIN_TYPES, is_conv1d, known_storage

NOT_MERGED = "the adapter cannot be merged into the base: {}"
TRIED_ROWS = 8


def merged_ssf(model: Any) -> Any:
    """The base model with the scales and shifts of its layers in their weights; the parts are gone.

    Raises:
        UserError: kind model: a layer cannot take them; the model is left as it was.
    """
    layers = parts_of(model)
    shared = shared_weights(model)
    for name, layer in layers.items():
        _check_plain(name, layer, shared)
    norms = {name: _merged_norm(name, layer) for name, layer in layers.items() if _is_norm(layer)}
    shifted = [name for name, layer in layers.items() if name not in norms and part_of(layer).shift is not None]
    settings, biases = _needed_biases(model, [name for name in shifted if model.get_submodule(name).bias is None])
    with torch.no_grad():
        for name, outputs in biases.items():
            layer = model.get_submodule(name.removesuffix(".bias"))
            layer.bias = nn.Parameter(layer.weight.new_zeros(outputs), requires_grad=False)
        for name, layer in layers.items():
            if name in norms:
                _put(layer, norms[name])
            else:
                _scale_rows(layer)
            remove_part(layer)
    for key, value in settings.items():
        setattr(model.config.get_text_config(), key, value)
    return model


def _is_norm(layer: nn.Module) -> bool:
    form = form_of(_bare(layer))
    return form is not None and form.kind == "norm"


def _bare(layer: nn.Module) -> Any:
    """A layer of the same weights without its part and without hooks."""
    bare = copy.copy(layer)
    bare._modules, bare._forward_hooks = {}, type(layer._forward_hooks)()
    return bare


def _check_plain(name: str, layer: Any, shared: set[int]) -> None:
    weight = layer.weight
    is_linear = not isinstance(layer, nn.modules.conv._ConvNd) and not _is_norm(layer)
    storage = known_storage(_bare(layer)) if is_linear else None
    if (
        weight is None
        or weight.dtype not in PLAIN_TYPES
        or (is_linear and (not storage or storage.name != "plain floats"))
    ):
        raise UserError(NOT_MERGED.format(f"{name} ({type(layer).__name__}) holds no plain floats"), kind="model")
    if weight.data_ptr() in shared:
        raise UserError(NOT_MERGED.format(f"{name} shares its weights with another place"), kind="model")
    if getattr(layer, "transposed", False) and layer.groups > 1:
        raise UserError(NOT_MERGED.format(f"{name} is a transposed convolution in groups"), kind="model")


def _scale_rows(layer: Any) -> None:
    """Of a linear layer or a convolution, whose outputs are the first axis of its weight, or the second."""
    part, weight = part_of(layer), layer.weight
    axis = 1 if is_conv1d(_bare(layer)) or getattr(layer, "transposed", False) else 0
    factors = (1 + part.scale).reshape([-1 if place == axis else 1 for place in range(weight.dim())])
    weight.copy_(weight * factors)
    if layer.bias is not None:
        layer.bias.copy_(layer.bias * (1 + part.scale) + (0 if part.shift is None else part.shift))


def _needed_biases(model: Any, lacking: list[str]) -> tuple[dict[str, bool], dict[str, int]]:
    """The fewest settings of a model that give these layers a bias, and the length of every bias that comes with them.

    Raises:
        UserError: kind model: no settings do.
    """
    if not lacking:
        return {}, {}
    text = model.config.get_text_config()
    off = [key for key, value in text.to_dict().items() if "bias" in key and value is False]
    needed, known = {f"{name}.bias" for name in lacking}, dict(model.named_parameters(remove_duplicate=False))
    for count in range(1, len(off) + 1):
        for keys in itertools.combinations(off, count):
            settings = dict.fromkeys(keys, True)
            new = {name: size for name, size in _sizes_with(model, settings).items() if name not in known}
            if needed <= new.keys() and all(name.endswith(".bias") for name in new):
                return settings, new
    what = (
        f"{lacking[0]} has no bias to take its shift, and {type(model.config).__name__} no setting that gives it one"
    )
    raise UserError(NOT_MERGED.format(f"{what}; train with shift false, or with other targets"), kind="model")


def _sizes_with(model: Any, settings: Mapping[str, bool]) -> dict[str, int]:
    """By name, the numbers of each parameter of such a model with other settings."""
    config = copy.deepcopy(model.config)
    for key, value in settings.items():
        setattr(config.get_text_config(), key, value)
    with torch.device("meta"):
        changed = type(model)._from_config(config)
    return {name: parameter.numel() for name, parameter in changed.named_parameters(remove_duplicate=False)}


def _merged_norm(name: str, layer: Any) -> dict[str, torch.Tensor]:
    """The weight, and bias, with which a norm alone gives what it gives with its part: found by trying both forms.

    Some norms multiply by their weight, some by 1 + weight.
    """
    part, bare = part_of(layer), copy.deepcopy(_bare(layer)).float().eval()
    scale, shift = part.scale.detach().float(), part.shift
    weight, bias = bare.weight.data, getattr(bare, "bias", None)
    if shift is not None and bias is None:
        text = f"the norm {name} has no bias to take its shift; train with shift_norms with_bias"
        raise UserError(NOT_MERGED.format(text), kind="model")
    merged_bias = {} if bias is None else {"bias": bias.data * (1 + scale) + (0 if shift is None else shift.detach())}
    wanted = part(_tried(name, bare, form_of(bare)))
    for candidate in (weight * (1 + scale), (1 + weight) * (1 + scale) - 1):
        found = {"weight": candidate, **merged_bias}
        _put(bare, found)
        if torch.allclose(_tried(name, bare, form_of(bare)), wanted, rtol=1e-4, atol=1e-5):
            return found
    raise UserError(NOT_MERGED.format(f"what {type(layer).__name__} makes of its weight is not known"), kind="model")


def _tried(name: str, layer: Any, form: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (TRIED_ROWS, *form.shape, TRIED_ROWS) if form.channels_first else (TRIED_ROWS, *form.shape)
    rows = torch.randn(shape, generator=generator).to(layer.weight.device)
    try:
        with torch.no_grad():
            given: torch.Tensor = layer(rows)
    except (TypeError, ValueError, RuntimeError) as error:
        text = f"the norm {name} ({type(layer).__name__}) cannot be tried alone: {error}"
        raise UserError(NOT_MERGED.format(text), kind="model") from error
    return given


def _put(layer: Any, tensors: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in tensors.items():
            getattr(layer, name).copy_(tensor)
