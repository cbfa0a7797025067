"""Training rows as batches that a model can be run on by itself, and the loss of such a batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sft.prompts.train_row import IGNORED, HeadRow, SourceRow, TrainRow
from sft.runs.progress import beat

Arguments = dict[str, torch.Tensor]


@dataclass(frozen=True)
class RowBatch:
    """Some rows, padded on the right; what is padded is masked and has no loss."""

    asked: Arguments
    """What the model is called with."""
    labels: torch.Tensor
    """(rows, tokens) of what is written; of a head (rows,) places, or (rows, labels) of 0 and 1."""
    reads: type[TrainRow]
    """The kind of the rows."""

    def run(self, model: Any) -> Any:
        """The outputs of the model, which keeps nothing of a decoder's states."""
        kept = {"use_cache": False} if self.reads is SourceRow else {}
        return model(**self.asked, **kept)

    def loss(self, model: Any) -> torch.Tensor:
        """The mean over what the training averages: trained tokens, rows, or pairs of row and label."""
        if self.reads is TrainRow:
            found: torch.Tensor = model(**self.asked, labels=self.labels).loss
            return found
        # by the rows: a head's own loss goes by its config, and by the look of the labels where that says nothing
        logits = self.run(model).logits.float()
        labels = self.labels.to(logits.device)
        if labels.is_floating_point():
            return binary_cross_entropy_with_logits(logits, labels)
        return cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


def batches(model: Any, rows: Sequence[TrainRow], size: int) -> Iterator[RowBatch]:
    """Batches of at most `size` rows in their order, on the device of the model.

    Args:
        model: wrapped by an adapter or not.
        rows: all of one kind.
        size: rows of a batch.
    """
    device = next(model.parameters()).device
    reads = type(rows[0]) if rows else TrainRow
    # by it the head of a decoder finds where a row ends
    padding = 0 if reads is TrainRow else model.config.get_text_config().pad_token_id or 0
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        asked = {
            "input_ids": _filled([row.input_ids for row in chosen], padding),
            "attention_mask": _filled([(1,) * len(row.input_ids) for row in chosen], 0),
        }
        written = [row for row in chosen if isinstance(row, SourceRow)]
        if written:
            asked["decoder_input_ids"] = _filled([(*row.opening, *row.labels[:-1]) for row in written], padding)
        beat()
        yield RowBatch({key: value.to(device) for key, value in asked.items()}, _labels(chosen).to(device), reads)


def _labels(rows: Sequence[TrainRow]) -> torch.Tensor:
    heads = [row for row in rows if isinstance(row, HeadRow)]
    if heads and heads[0].judges_each:
        return torch.tensor([row.labels for row in heads], dtype=torch.float32)
    if heads:
        return torch.tensor([row.labels[0] for row in heads])
    openings = [len(row.opening) - 1 if isinstance(row, SourceRow) else 0 for row in rows]
    return _filled([(IGNORED,) * begun + row.labels for begun, row in zip(openings, rows, strict=True)], IGNORED)


def _filled(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows], dtype=torch.long)
