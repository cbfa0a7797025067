"""The loss of an encoder-decoder: the cross-entropy of what its decoder should write."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from sft.prompts.train_row import IGNORED, SourceRow, TrainRow
from sft.training.objectives.objective import Collator
from sft.training.row_weights import COLUMN

WRITTEN = "decoder_input_ids"


class SourceLoss:
    """The cross-entropy of the tokens of an answer and its stop, in nats (an `OwnLoss`): its items are tokens."""

    def __init__(self, model: Any, answers: Sequence[Sequence[int]], rows: Sequence[TrainRow]) -> None:
        """
        Args:
            model: an encoder-decoder, wrapped by an adapter or not.
            answers: not read.
            rows: those of training and dev; they say what the decoder begins with.
        """
        first = rows[0]
        if not isinstance(first, SourceRow):
            raise TypeError("the rows are not those of an encoder-decoder")
        self._opening = first.opening

    def collator(self, plain: Any) -> Collator:
        """Batches of texts and answers, both padded on the right."""
        return SourceCollator(self._opening, plain.pad_token_id, plain.pad_to_multiple_of)

    def __call__(self, model: Any, batch: Mapping[str, Any], n_items: torch.Tensor | int | None) -> torch.Tensor:
        """The sum of the losses of all trained tokens over the number of those of the step."""
        asked = {key: batch[key] for key in ("input_ids", "attention_mask", WRITTEN)}
        logits = model(**asked, use_cache=False).logits.float()
        labels = batch["labels"].to(logits.device)
        losses = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", ignore_index=IGNORED)
        losses = losses.view(labels.shape).sum(dim=1)
        if COLUMN in batch:
            losses = losses * batch[COLUMN].to(losses)
        count = (labels != IGNORED).sum() if n_items is None else torch.as_tensor(n_items).to(losses.device)
        return losses.sum() / count


class SourceCollator:
    """Rows of texts and answers as one batch."""

    def __init__(self, opening: Sequence[int], padding: int, multiple: int | None) -> None:
        """
        Args:
            opening: ids that the decoder begins with.
            padding: id that fills shorter rows; nothing attends to it, and nothing of it is trained.
            multiple: a number that the lengths of a batch are multiples of; None: any length.
        """
        self._opening = list(opening)
        self._padding = padding
        self._multiple = multiple or 1

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """(rows, width) of what is read, (rows, other width) of what is written; `loss_weight` where rows have it.

        `labels` has at each place of `decoder_input_ids` the token that should follow.
        """
        read = [list(row["input_ids"]) for row in rows]
        answers = [list(row["labels"]) for row in rows]
        fed = [[*self._opening, *answer[:-1]] for answer in answers]
        labels = [[IGNORED] * (len(self._opening) - 1) + answer for answer in answers]
        batch = {
            "input_ids": self._filled(read, self._padding),
            "attention_mask": self._filled([[1] * len(ids) for ids in read], 0),
            WRITTEN: self._filled(fed, self._padding),
            "labels": self._filled(labels, IGNORED),
        }
        if COLUMN in rows[0]:
            batch[COLUMN] = torch.tensor([row[COLUMN] for row in rows], dtype=torch.float32)
        return batch

    def _filled(self, rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
        width = -(-max(map(len, rows)) // self._multiple) * self._multiple
        return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows], dtype=torch.long)
