"""The loss of a head with one output for each label: the cross-entropy of the right one, or of each by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sft.prompts.train_row import TrainRow
from sft.training.objectives.objective import Collator
from sft.training.row_weights import COLUMN


class HeadLoss:
    """The cross-entropy over the labels, in nats (an `OwnLoss`): its items are rows."""

    def __init__(self, model: Any, answers: Sequence[Sequence[int]], rows: Sequence[TrainRow]) -> None:
        """
        Args:
            model: with a head, wrapped by an adapter or not.
            answers: not read.
            rows: not read.
        """
        self._padding: int | None = model.config.get_text_config().pad_token_id

    def collator(self, plain: Any) -> Collator:
        """Batches of texts, padded on the right, with the place of the right label for each.

        A head that reads the last token of a row knows padding by the id in the model's config, which the tokenizer's
        may differ from.
        """
        padding = plain.pad_token_id if self._padding is None else self._padding
        return HeadCollator(padding, plain.pad_to_multiple_of)

    def __call__(self, model: Any, batch: Mapping[str, Any], n_items: torch.Tensor | int | None) -> torch.Tensor:
        """The sum of the items' losses over the number of items of the step, each of which has one target."""
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.float()
        targets = batch["labels"].to(logits.device)
        losses = self.of_rows(logits, targets)
        if COLUMN in batch:
            losses = losses * batch[COLUMN].to(losses)
        return losses.sum() / (targets.numel() if n_items is None else torch.as_tensor(n_items).to(losses.device))

    def of_rows(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(rows,) losses by (rows, labels) outputs and (rows, 1) places of the right labels."""
        return cross_entropy(logits, targets[:, 0], reduction="none")


class SetHeadLoss(HeadLoss):
    """The cross-entropy of each label's being there, in nats: its items are pairs of row and label."""

    def of_rows(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(rows,) sums over labels by (rows, labels) outputs and targets: 1 where the row has the label, else 0."""
        return binary_cross_entropy_with_logits(logits, targets.to(logits), reduction="none").sum(dim=1)


class HeadCollator:
    """Rows of texts as one batch."""

    def __init__(self, padding: int, multiple: int | None) -> None:
        """
        Args:
            padding: id that fills shorter rows; nothing attends to it.
            multiple: a number that the length of a batch is a multiple of; None: any length.
        """
        self._padding = padding
        self._multiple = multiple or 1

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """(rows, width) `input_ids` and `attention_mask`, (rows, numbers) `labels`, `loss_weight` if any."""
        longest = max(len(row["input_ids"]) for row in rows)
        width = -(-longest // self._multiple) * self._multiple
        ids = torch.full((len(rows), width), self._padding, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row["input_ids"])] = torch.tensor(row["input_ids"], dtype=torch.long)
            mask[place, : len(row["input_ids"])] = 1
        batch = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in rows])}
        if COLUMN in rows[0]:
            batch[COLUMN] = torch.tensor([row[COLUMN] for row in rows], dtype=torch.float32)
        return batch
