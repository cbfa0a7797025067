"""Rows as they were read, and the splits they belong to."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

from sft.config.canonical import json_text
from sft.data.cells.conversations import Conversation
from sft.data.tables import Record, Table
from sft.exceptions import DataError
from sft.wording import listed


@dataclass(frozen=True)
class Row:
    """One row of a split.

    Attributes:
        source_index: position in the split as it was read, from 0; with shares: in the one split that was cut.
        values: cells by column, each of its own type: text, numbers, lists, records; a missing cell is None. A column
            of bytes is given where it is named, and is not among the columns.
    """

    source_index: int
    values: Mapping[str, Any]

    def text(self, column: str) -> str:
        """The cell as metrics show it: text as it is, of a conversation the answer, anything else as canonical JSON.

        Bytes have none.
        """
        value = self.values[column]
        return value.answer if isinstance(value, Conversation) else json_text(value)

    def input_text(self, column: str) -> str:
        """The cell as an input shows it: a missing one is empty text, of a conversation all before the answer."""
        value = self.values.get(column)
        if isinstance(value, Conversation):
            return "\n".join(turn["content"] for turn in value.prompt)
        return "" if value is None else json_text(value)


class Rows(Sequence[Row]):
    """Rows of a table by their places in it; a row is made when it is asked for, since most of many never are."""

    def __init__(self, table: Table, places: Sequence[int]) -> None:
        self.table = table
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Row]:
        return (Row(place, Record(self.table, place)) for place in self.places)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Row | Rows":
        if isinstance(index, slice):
            return Rows(self.table, self.places[index])
        place = self.places[index]
        return Row(place, Record(self.table, place))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rows | tuple | list):
            return NotImplemented
        return len(self) == len(other) and all(own == row for own, row in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def alone(text: str) -> tuple[str, ...]:
    """The gold values in the text of an output cell, where each is one."""
    return (text,)


def texts_of(rows: Sequence[Row], column: str) -> Sequence[str]:
    """The cells of a column as text, in the order of the rows; without making rows of a table."""
    if not isinstance(rows, Rows):
        return [row.text(column) for row in rows]
    if not rows:
        return ()
    texts = rows.table.column(column).texts
    return texts if rows.places == range(len(texts)) else [texts[place] for place in rows.places]


def indices_of(rows: Sequence[Row]) -> Sequence[int]:
    """The `source_index` of each row."""
    return rows.places if isinstance(rows, Rows) else [row.source_index for row in rows]


def picked(rows: Sequence[Row], positions: Sequence[int]) -> Sequence[Row]:
    """The rows at some positions, in the order of these."""
    if not isinstance(rows, Rows):
        return tuple(rows[position] for position in positions)
    if positions == range(len(rows)):
        return rows
    return Rows(rows.table, [rows.places[position] for position in positions])


def rows_at(rows: Sequence[Row], indices: Collection[int]) -> dict[int, Row]:
    """The rows of some `source_index`, by it; without those that are not there."""
    wanted = set(indices)
    positions = [position for position, index in enumerate(indices_of(rows)) if index in wanted]
    return {row.source_index: row for row in picked(rows, positions)}


@dataclass(frozen=True)
class Split:
    """The rows of one role (`name` is train, dev or test), in the order of `source_index`.

    Attributes:
        name: train, dev or test.
        columns: of the rows, or of the file where there is none.
        rows: without those that were left out.
        n_dropped: rows that were left out because a used cell is empty.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Row]
    n_dropped: int = 0

    def require(self, column: str) -> None:
        """Make sure that there is a column of this name.

        Raises:
            DataError: there is none.
        """
        if column not in self.columns:
            columns = listed(self.columns)
            raise DataError(f"column {column!r} not found in split {self.name}; columns are: {columns}")


@dataclass(frozen=True)
class Splits:
    """All rows an experiment may use.

    Attributes:
        train: None where there is no train split and no shots are asked for.
        dev: None where none is configured.
        test: may lack the output column; its rows then have no gold.
        class_names: declared names of ClassLabel columns, in order; the cells are these names already.
        tables: what the rows were read from.
        unused: names of splits that the data has beside these.
        folds: where the one split is cut into folds, the `source_index` of each fold's rows as read; train and test
            are all rows then, until `fold_splits` tells them apart.
    """

    train: Split | None
    dev: Split | None
    test: Split
    class_names: Mapping[str, tuple[str, ...]]
    tables: tuple[Table, ...] = field(default=(), compare=False)
    unused: tuple[str, ...] = ()
    folds: tuple[frozenset[int], ...] = ()

    @cached_property
    def fold_of(self) -> Mapping[int, int]:
        """`source_index` -> its fold, from 0, of all rows as read; empty without folds."""
        return {index: fold for fold, own in enumerate(self.folds) for index in own}

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of how the files were read, such as cells that may hide rows.

        All columns are looked at for it, also those that no prompt uses.
        """
        return tuple(dict.fromkeys(remark for table in self.tables for remark in table.remarks))
