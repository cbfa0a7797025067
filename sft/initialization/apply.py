"""Writes an initialiser's factors into the LoRA layers of a model, without changing what the model computes.

An initialiser with B = 0 changes nothing. One with B != 0 would add s B A to the weights (s: the layer's scaling). So
both factors are divided by sqrt(s) and that product, then B0 A0, is taken away again:

- off the base weights where they are fp32 and the layer's alone (`residual`): no cost, and the difference is below
  fp32's own rounding;
- else by a second, frozen adapter of A0 and -B0 (`anchored`): quantised weights cannot hold the residual, 16-bit ones
  would round it by more than a training step changes, and what is taken off a weight that two layers share would be
  taken off both. Costs one more product of that rank per layer.
"""

import functools
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError
from sft.initialization.cached_factors import factors_of, keep_in_bounds
from sft.initialization.factors import Factors, Initializer, keeps_base, needs_of, remember_factors
from sft.initialization.layers import ADAPTER, ANCHOR, AdapterLayer, adapter_layers, split_factors
from sft.initialization.measuring import MEASUREMENTS, measured
from sft.initialization.original_weights import remember_origins
from sft.models.library_warnings import note_warning
from sft.prompts.train_row import TrainRow
from sft.runs.progress import beat

SHAPE_KEYS = ("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "fan_in_fan_out")
TARGET_KEYS = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern")


def initialize(model: Any, initializer: Initializer, name: str, rows: Sequence[TrainRow] = ()) -> None:
    """Fill the adapter of a freshly attached PEFT model from its base weights.

    Afterwards the model computes what it did before, unless the initialiser is marked `keep_base`; then it warns.
    Where the base was moved, `initial_factors(model)` holds A0 and B0.

    Args:
        model: a `PeftModel` with one LoRA adapter whose B is 0, before its first forward pass.
        initializer: the function.
        name: what it is called in messages.
        rows: the training rows, for an initialiser that `needs` them.

    Raises:
        UserError: a target is no linear layer, the weights cannot be read, the factors do not fit, or there are no
            rows to look at.
    """
    layers = adapter_layers(model)
    moved, holding = set(), holding_residual(model, layers)
    remember_origins(model, layers)
    for layer, knowing in _knowing(model, layers, initializer, name, rows):
        beat()
        if _fill(layer, knowing, name, layer.name in holding):
            moved.add(layer.name)
    keep_in_bounds()
    if not moved:
        return
    if keeps_base(initializer):
        effect = getattr(initializer, "effect", "the model is changed before the first step")
        warnings.warn(f"{name} adds its factors to an untouched base: {effect}", stacklevel=2)
        return
    _take_off(model, layers, moved)


def initialize_from(model: Any, factors: Mapping[str, Factors]) -> None:
    """Move the base of a freshly attached PEFT model as `initialize` did when it made these factors.

    Args:
        model: a `PeftModel` with one LoRA adapter whose B is 0, on the untouched base.
        factors: `initial_factors` of the model that was initialised, of every layer.

    Raises:
        UserError: they are of another model.
    """
    layers = adapter_layers(model)
    if {layer.name for layer in layers} != set(factors):
        raise UserError("the initial factors belong to other layers than the adapter's")
    for layer in layers:
        write_factors(layer, factors[layer.name])
    _take_off(model, layers, {name for name, pair in factors.items() if pair.b.any()})


def anchor_rounded(model: Any) -> None:
    """Finish an initialisation of PEFT's own: anchor the layers whose base cannot hold what was taken off it.

    Args:
        model: a `PeftModel` whose adapter holds A0 and B0; s B0 A0 is off the base of the layers of `holding_residual`
            and no others.

    """
    layers = adapter_layers(model)
    holding = holding_residual(model, layers)
    _anchor(model, layers, {layer.name for layer in layers} - holding)
    remember_factors(model, {layer.name: layer.copied_factors() for layer in layers})


def holding_residual(model: nn.Module, layers: Collection[AdapterLayer]) -> set[str]:
    """Names of the layers from whose base s B0 A0 can be taken off exactly, without changing another layer."""
    shared = shared_weights(model)
    return {layer.name for layer in layers if layer.is_exact and layer.base_weight.data_ptr() not in shared}


def shared_weights(model: nn.Module) -> set[int]:
    """Addresses of the weights that stand under more than one name in a model, such as those of repeated layers."""
    parameters = model.named_parameters(remove_duplicate=False)
    places = Counter(parameter.data_ptr() for _, parameter in parameters)
    return {address for address, count in places.items() if count > 1}


def write_factors(layer: AdapterLayer, factors: Factors) -> None:
    """Make A and B of a layer those given, to the last bit."""
    a, b = layer.weights()
    if (a.shape, b.shape, a.dtype, b.dtype) != (factors.a.shape, factors.b.shape, factors.a.dtype, factors.b.dtype):
        raise UserError(f"layer {layer.name}: the initial factors have another shape or precision")
    with torch.no_grad():
        a.copy_(factors.a)
        b.copy_(factors.b)


def made_factors(
    initializer: Initializer, linear: nn.Module, rank: int, a: torch.Tensor, b: torch.Tensor, where: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """What an initialiser makes of one linear layer: A (rank, in) and B (out, rank).

    Args:
        initializer: the function.
        linear: the layer, plain or quantised.
        rank: number of rows of A.
        a: a tensor of the shape, type and device that A is to have.
        b: the same for B.
        where: the initialiser and the layer, as messages begin.

    Raises:
        UserError: the weights cannot be read, or the factors do not fit or are not finite.
    """
    try:
        made = factors_of(initializer, linear, rank, a.dtype)
    except UserError as error:
        raise UserError(f"{where}: {error}", kind=error.kind) from error
    return _checked(made, a, b, where)


def no_rows(name: str) -> UserError:
    """An initialisation has nothing to look at."""
    return UserError(f"init_lora_weights {name} looks at training rows, and there are none")


def _knowing(
    model: Any, layers: Sequence[AdapterLayer], initializer: Any, name: str, rows: Sequence[TrainRow]
) -> Iterator[tuple[AdapterLayer, Initializer]]:
    """The layers, each with the initialiser that knows already what it needs of the training rows.

    Layers after each other that need equal matrices, as the projections of one attention do, get the same tensor. Left
    out are layers of which nothing can be known: joined experts, and those that no row passes.
    """
    needed = needs_of(initializer)
    if needed is None:
        yield from ((layer, initializer) for layer in layers)
        return
    if not rows:
        raise no_rows(name)
    linear = [layer for layer in layers if not layer.is_parameter]
    unknown, previous = len(layers) - len(linear), None
    for layer, matrix in measured(model, linear, MEASUREMENTS[needed], rows):
        if matrix is None:
            unknown += 1
            continue
        if previous is None or not torch.equal(matrix, previous):
            previous = matrix
        yield layer, with_matrix(initializer, previous)
    if unknown:
        text = f"{unknown} of {len(layers)} layers that no training row passes, or that are joined experts"
        note_warning(f"init_lora_weights {name} leaves {text}, as they begin by default")


def with_matrix(initializer: Any, matrix: torch.Tensor) -> Initializer:
    """The initialiser with its fourth argument filled in; marks stay."""

    @functools.wraps(initializer)
    def bound(layer: nn.Module, rank: int, dtype: torch.dtype = torch.bfloat16) -> Mapping[str, torch.Tensor]:
        made: Mapping[str, torch.Tensor] = initializer(layer, rank, dtype, matrix)
        return made

    return bound


def _take_off(model: Any, layers: list[AdapterLayer], moved: set[str]) -> None:
    """Take s B A off the layers in `moved`, and keep all factors with the model."""
    residual = moved & holding_residual(model, layers)
    for layer in layers:
        if layer.name in residual:
            pairs = zip(*split_factors(*layer.weights(), layer.experts), strict=True)
            layer.subtract([layer.scaling * (b.double() @ a.double()) for a, b in pairs])
    _anchor(model, layers, moved - residual)
    remember_factors(model, {layer.name: layer.copied_factors() for layer in layers})


def _fill(layer: AdapterLayer, initializer: Initializer, name: str, holding: bool) -> bool:
    """Write one layer's factors; true where B is not 0, so that something must be taken off again.

    Joined experts that cannot hold what is taken off stay as they were: no second adapter goes beside theirs.
    """
    where = f"initialiser {name}, layer {layer.name}"
    made = list(_made(layer, initializer, where))
    moves = any(bool(b.any()) for _, b in made)
    if moves and layer.is_parameter and not holding and not keeps_base(initializer):
        note_warning(f"init_lora_weights {name} leaves out joined experts that are not fp32 (dtype: float32)")
        return False
    divisor = layer.scaling**0.5 if moves else 1.0
    with torch.no_grad():
        for to_a, to_b, (a, b) in zip(*split_factors(*layer.weights(), layer.experts), made, strict=True):
            to_a.copy_(a / divisor)
            to_b.copy_(b / divisor)
    return moves


def _made(layer: AdapterLayer, initializer: Initializer, where: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What the initialiser makes of each matrix of a layer."""
    (a, *_), (b, *_) = split_factors(*layer.weights(), layer.experts)
    for linear in layer.layers():
        yield made_factors(initializer, linear, layer.rank, a, b, where)


def _checked(
    made: Mapping[str, torch.Tensor], a: torch.Tensor, b: torch.Tensor, where: str
) -> tuple[torch.Tensor, torch.Tensor]:
    expected = {"lora_A": tuple(a.shape), "lora_B": tuple(b.shape)}
    shapes = {key: tuple(value.shape) for key, value in made.items()} if isinstance(made, Mapping) else type(made)
    if shapes != expected:
        raise UserError(f"{where}: returned {shapes}; expected {expected}")
    if not all(bool(torch.isfinite(made[key]).all()) for key in expected):
        raise UserError(f"{where}: returned numbers that are not finite")
    return made["lora_A"].to(a), made["lora_B"].to(b)


def _anchor(model: Any, layers: list[AdapterLayer], anchored: set[str]) -> None:
    """Add the frozen adapter of A0 and -B0 (0 where the base itself holds the residual); none where all do."""
    from peft import LoraConfig

    from sft.initialization.anchored_dora import anchor_dora

    if not anchored:
        return
    config = model.peft_config[ADAPTER]
    same = {key: getattr(config, key) for key in (*SHAPE_KEYS, *TARGET_KEYS)}
    model.add_adapter(ANCHOR, LoraConfig(**same, task_type=config.task_type))
    for layer in layers:
        a, b = layer.weights()
        if layer.is_parameter:
            continue
        anchor_a, anchor_b = layer.weights(ANCHOR)
        with torch.no_grad():
            anchor_a.copy_(a)
            anchor_b.copy_(-b if layer.name in anchored else torch.zeros_like(b))
        if not config.use_dora:
            layer.module.set_adapter([ADAPTER, ANCHOR])
        elif layer.name in anchored:
            anchor_dora(layer)
        layer.module.lora_A[ANCHOR].requires_grad_(False)
        layer.module.lora_B[ANCHOR].requires_grad_(False)
