"""How far two models are from each other on the rows of a training."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

ROWS, POSITIONS = 8, 16
"""Rows that are looked at, and how many of the last tokens of each."""

TOLERANCES = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Type of the weights -> how far a merged model may be from the adapter on its base."""


def logits_of(model: Any, rows: Sequence[Sequence[int]], beat: Callable[[], None]) -> torch.Tensor:
    """The logits behind the last tokens of each row, each less their mean over the vocabulary: (tokens, vocabulary).

    Of a model with a head the outputs for each row as they are, as a sigmoid sees their mean: (rows, labels).

    Args:
        model: in eval mode.
        rows: token ids; a decoder of its own is given those that its encoder reads.
        beat: called after each row.
    """
    found = []
    for row in rows[:ROWS]:
        ids = torch.tensor([list(row)], device=model.device)
        written = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
        with torch.no_grad():
            logits = model(input_ids=ids, **written).logits[0].float().cpu()
        has_head = logits.ndim == 1
        found.append(
            logits[None] if has_head else logits[-POSITIONS:] - logits[-POSITIONS:].mean(dim=-1, keepdim=True)
        )
        beat()
    return torch.cat(found)


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """The root mean square of the differences of logits, by that of the first ones; no softmax sees their mean."""
    size = float(one.double().square().mean())
    gap = float((one.double() - other.double()).square().mean())
    return math.sqrt(gap / size) if size else math.sqrt(gap)
