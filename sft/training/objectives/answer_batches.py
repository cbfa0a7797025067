"""Batches of training rows with every label behind the prompt of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sft.prompts.train_row import IGNORED
from sft.training.objectives.answer_tree import AnswerTree


@dataclass(frozen=True)
class AnswerCollator:
    """Rows of equal width: padding, the prompt, then the tokens of the labels' tree, the same in each row."""

    tree: AnswerTree
    pad_id: int
    multiple_of: int | None = None
    """What widths are multiples of."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """
        Args:
            rows: `input_ids` of prompt and right answer, and `labels`, which are -100 before that answer.

        Returns:
            `input_ids` and `attention_mask` (rows, width); `labels` (rows, 2): -100 and the place of the right answer.
        """
        split = [_split(row) for row in rows]
        tail = self.tree.ids.tolist()
        width = max(len(prompt) for prompt, _ in split) + len(tail)
        width += -width % (self.multiple_of or 1)
        ids, mask = [], []
        for prompt, _ in split:
            padding = width - len(tail) - len(prompt)
            ids.append([self.pad_id] * padding + [*prompt, *tail])
            mask.append([0] * padding + [1] * (width - padding))
        gold = [[IGNORED, self.tree.answers.index(answer)] for _, answer in split]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(gold)}


def _split(row: Mapping[str, Any]) -> tuple[list[int], tuple[int, ...]]:
    """Prompt and right answer."""
    ids, labels = row["input_ids"], row["labels"]
    start = next(place for place, label in enumerate(labels) if label != IGNORED)
    return ids[:start], tuple(ids[start:])
