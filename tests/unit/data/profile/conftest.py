"""Splits made of rows that are written as (text, label) or (text,)."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sft.data.rows import Rows, Split, Splits
from sft.data.tables import ListColumn, ReadTable


def split_of(name: str, rows: Sequence[tuple[str, ...]]) -> Split:
    columns = ("text", "label")[: len(rows[0]) if rows else 2]
    cells = {column: ListColumn([row[place] for row in rows]) for place, column in enumerate(columns)}
    table = ReadTable(len(rows), cells)
    return Split(name, columns, Rows(table, range(len(rows))))


@pytest.fixture
def splits_of() -> Callable[..., Splits]:
    def build(unused: tuple[str, ...] = (), **written: Sequence[tuple[str, ...]]) -> Splits:
        found: dict[str, Any] = {name: split_of(name, rows) for name, rows in written.items()}
        return Splits(found.get("train"), found.get("dev"), found["test"], {}, unused=unused)

    return build
