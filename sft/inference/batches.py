"""Rows of unequal length as rectangular batches: sorted by length, padded on the left, put back in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class PaddedBatch:
    """Token ids of several prompts; those of decoders are padded on the left, so that each ends in the last column.

    Attributes:
        input_ids: (rows, width) token ids.
        attention_mask: (rows, width), 1 on tokens and 0 on padding.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """(rows,) tokens of each prompt."""
        return self.attention_mask.sum(dim=1)

    @property
    def paddings(self) -> list[int]:
        """Columns of padding before each prompt."""
        found: list[int] = (self.attention_mask.shape[1] - self.lengths).tolist()
        return found

    @property
    def position_ids(self) -> torch.Tensor:
        """(rows, width): the first token of every prompt has position 0, whatever padding stands before it."""
        return (self.attention_mask.cumsum(dim=1) - 1).clamp(min=0)


def length_sorted(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Row numbers cut into batches of similar length.

    The longest come first, so that a batch that does not fit in memory fails at once; equal lengths keep their
    order, so that the batches depend on the lengths alone.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def pad_left(prompts: Iterable[Sequence[int]], pad_id: int, device: torch.device) -> PaddedBatch:
    """The prompts as one batch; `pad_id` may be any id of the vocabulary, for nothing attends to it.

    Raises:
        ValueError: a prompt has no tokens.
    """
    rows = [list(prompt) for prompt in prompts]
    if not all(rows):
        raise ValueError("a prompt without tokens cannot be run")
    return padded(rows, pad_id, device)


def padded_right(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> PaddedBatch:
    """Texts that are read as one batch, padded on the right; nothing attends to `pad_id`."""
    width = max(map(len, rows))
    ids = [list(row) + [pad_id] * (width - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
    return PaddedBatch(
        torch.tensor(ids, dtype=torch.long, device=device), torch.tensor(mask, dtype=torch.long, device=device)
    )


def padded(parts: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> PaddedBatch:
    """Parts of prompts as one batch, as `pad_left` does it; a part may have no tokens."""
    width = max(map(len, parts))
    ids = [[pad_id] * (width - len(part)) + list(part) for part in parts]
    mask = [[0] * (width - len(part)) + [1] * len(part) for part in parts]
    return PaddedBatch(
        torch.tensor(ids, dtype=torch.long, device=device), torch.tensor(mask, dtype=torch.long, device=device)
    )
