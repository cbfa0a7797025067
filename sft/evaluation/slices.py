"""Evaluated rows by the values of a column: `evaluation.slices`.

A column of numbers is cut into quarters where it has more values than `MOST_VALUES`. Of any other the most frequent
values stand for themselves, and the rest are one slice; where that rest is most of the rows, the column is refused.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.config.canonical import json_text
from sft.data.rows import Row
from sft.exceptions import DataError
from sft.wording import counted

MOST_VALUES = 10
EMPTY, OTHERS = "(empty)", "(others)"
_QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class SlicedColumn:
    """A column as slices of the evaluated rows.

    Attributes:
        values: names of the slices, the most frequent values first, quarters in their order.
        codes: split -> (rows,) position in `values` of each of its evaluated rows.
    """

    values: tuple[str, ...]
    codes: Mapping[str, NDArray[np.int64]]

    def record(self, split: str) -> list[dict[str, object]]:
        """What `metrics.json` holds of a split: each slice, also one without rows, and how many rows it has."""
        counts = np.bincount(self.codes[split], minlength=len(self.values))
        return [{"value": value, "n_rows": int(n)} for value, n in zip(self.values, counts, strict=True)]


def sliced(column: str, rows: Mapping[str, Sequence[Row]]) -> SlicedColumn:
    """The slices of a column, the same for all splits.

    Args:
        column: that all rows have.
        rows: the evaluated rows by split.

    Raises:
        DataError: it has so many values that most rows would be in no slice of their own.
    """
    texts = {split: [_text(row.values[column]) for row in own] for split, own in rows.items()}
    every = [text for own in texts.values() for text in own]
    counts = Counter(every)
    numbers = _numbers(counts) if len(counts) > MOST_VALUES else None
    if numbers is not None:
        return _quarters(texts, numbers, [numbers[text] for text in every if text != EMPTY])
    kept = [value for value, _ in counts.most_common(MOST_VALUES)]
    n_kept = sum(counts[value] for value in kept)
    if len(kept) < len(counts) and 2 * n_kept < len(every):
        raise DataError(
            f"column {column!r} has {len(counts):,} values in {counted(len(every), 'evaluated row')}, and the "
            f"{MOST_VALUES} most frequent hold {n_kept:,} of these: too many to score apart; make a column of fewer"
        )
    values = (*kept, *([OTHERS] if len(kept) < len(counts) else []))
    places = {value: place for place, value in enumerate(kept)}
    return SlicedColumn(
        values,
        {
            split: np.array([places.get(text, len(kept)) for text in own], dtype=np.int64)
            for split, own in texts.items()
        },
    )


def _text(cell: Any) -> str:
    """What a cell is called as a slice."""
    return ("" if cell is None else json_text(cell).strip()) or EMPTY


def _numbers(texts: Counter[str]) -> dict[str, float] | None:
    """The numbers that all texts but the empty one are; None where one is none."""
    try:
        found = {text: float(text) for text in texts if text != EMPTY}
    except ValueError:
        return None
    return found if all(map(math.isfinite, found.values())) else None


def _quarters(
    texts: Mapping[str, Sequence[str]], numbers: Mapping[str, float], every: Sequence[float]
) -> SlicedColumn:
    """A column of numbers in up to four slices of about as many rows, and one of the empty cells."""
    edges = np.unique(np.quantile(np.array(every), _QUARTERS, method="lower"))
    told = [f"{edge:.15g}" for edge in edges.tolist()]  # all digits: with fewer, two quarters may have one name
    first, last = f"up to {told[0]}", f"above {told[-1]}"
    between = [f"above {low}, up to {high}" for low, high in pairwise(told)]
    names = [first, *between, *([last] if max(every) > edges[-1] else [])]
    has_empty = any(EMPTY in own for own in texts.values())
    codes = {
        split: np.array(
            [len(names) if text == EMPTY else np.searchsorted(edges, numbers[text]) for text in own],
            dtype=np.int64,
        )
        for split, own in texts.items()
    }
    return SlicedColumn((*names, *([EMPTY] if has_empty else [])), codes)
