"""Weights of training rows on their way to the trainer's loss: a column of the data, then a tensor of the batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

COLUMN = "loss_weight"


@dataclass(frozen=True)
class WeighingCollator:
    """The trainer's collator, whose batches hold the weights of their rows where rows have one."""

    plain: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The batch; `loss_weight` is (rows,)."""
        batch = self.plain(rows)
        if COLUMN in rows[0]:
            batch[COLUMN] = torch.tensor([row[COLUMN] for row in rows], dtype=torch.float32)
        return batch


def weighed(model: Callable[..., Any], weights: torch.Tensor) -> Callable[..., Any]:
    """A model whose log-probabilities of trained tokens count by the weight of their row.

    The trainer divides their sum by the number of trained tokens of the step, weighed or not, so that a batch with
    rows of one label alone keeps the weight of that label.

    Args:
        model: gives `log_probs`, 0 where nothing is trained, when it is asked for the fused head.
        weights: of each of them, of a shape that spreads to theirs.
    """

    def call(**inputs: Any) -> Any:
        outputs = model(**inputs)
        outputs.log_probs = outputs.log_probs * weights.to(outputs.log_probs)
        return outputs

    return call
