"""The merged model of a training, held against its adapter on its base."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sft.adapters.saving import load_adapter, method_of
from sft.deployment.exporting.comparison import TOLERANCES, distance, logits_of
from sft.exceptions import UserError
from sft.models.dequantization import dequantized

AS_ADAPTER = "take the form 'adapter': the adapter itself is what was measured"


@dataclass(frozen=True)
class Distances:
    """How far models are from the adapter on its base, as roots of mean squares of logits by those of the adapter's.

    Attributes:
        base: of the base without the adapter: what the training changed.
        merged: of the merged model; on a quantised base, from the adapter on that base with plain weights.
        quantized: of the merged model from the adapter on the quantised base, where the base is quantised.
        tolerance: the most that `merged` may be.
    """

    base: float
    merged: float
    quantized: float | None
    tolerance: float


@dataclass(frozen=True)
class Measured:
    """What was measured of a merged model."""

    logits: torch.Tensor
    """As `logits_of` gives them."""
    distances: Distances


def merged_model(
    load_base: Callable[[], Any], adapter: Path, rows: Sequence[Sequence[int]], beat: Callable[[], None]
) -> tuple[Any, Measured]:
    """The base with a trained adapter in its own weights; a quantised base gets plain weights first.

    Args:
        load_base: loads the untouched base.
        adapter: the folder of the adapter.
        rows: token ids on which models are compared.
        beat: called now and then.

    Raises:
        UserError: the adapter cannot be merged, or the merged model is another one.
    """
    model = load_base()
    of_base = logits_of(model, rows, beat)
    of_quantized = None
    if getattr(model, "is_quantized", False):
        of_quantized = logits_of(load_adapter(model, adapter), rows, beat)
        del model
        gc.collect()
        model = dequantized(load_base())
    model = load_adapter(model, adapter)
    of_adapter = logits_of(model, rows, beat)
    model = _merge(model, adapter)
    of_merged = logits_of(model, rows, beat)
    distances = Distances(
        base=distance(of_adapter if of_quantized is None else of_quantized, of_base),
        merged=distance(of_adapter, of_merged),
        quantized=None if of_quantized is None else distance(of_quantized, of_merged),
        tolerance=TOLERANCES[model.dtype],
    )
    if not distances.merged <= distances.tolerance:
        told = f"differs from its adapter on its base by {distances.merged:.2g} of the logits"
        limit = f"more than {distances.tolerance:g} for {model.dtype}".replace("torch.", "")
        raise UserError(f"the merged model {told}, {limit}; {AS_ADAPTER}", kind="model")
    return model, Measured(of_merged, distances)


def _merge(model: Any, adapter: Path) -> Any:
    method = method_of(adapter)
    if method is None:
        raise UserError(f"{adapter} holds no trained adapter", kind="model")
    try:
        return method.merge(model).eval()
    except UserError as error:
        raise UserError(f"{error}; {AS_ADAPTER}", kind=error.kind) from error
