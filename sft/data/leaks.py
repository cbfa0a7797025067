"""Texts that stand on both sides of the line between what a model may see and what it is measured on."""

from collections.abc import Iterable, Sequence

from sft.config.texts import normalised
from sft.data.rows import Row

COLUMN_BREAK = "\x1f"


def normalised_input(row: Row, columns: Sequence[str]) -> str:
    """The normalised input of a row; empty when all its cells are missing or blank."""
    cells = ["" if row.values.get(column) is None else normalised(row.text(column)) for column in columns]
    return COLUMN_BREAK.join(cells) if any(cells) else ""


def count_leaks(used: Iterable[str], evaluated: Iterable[str]) -> int:
    """How many of the `used` texts (shots, in-context examples) are found among the evaluated ones.

    Args:
        used: texts the model sees with their answer; each counts by itself.
        evaluated: texts of the test and dev rows.
    """
    held_out = {normalised(text) for text in evaluated}
    return sum(normalised(text) in held_out for text in used)
