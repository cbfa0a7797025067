"""Tables by column: each column is looked at when it is first asked for, and a row is made when it is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, overload

from sft.config.canonical import json_text

NULL_TEXT = json_text(None)


class Column(Protocol):
    """The cells of one column, JSON values, or in a column without text bytes; a missing cell is None."""

    def value(self, index: int) -> Any:
        """One cell."""

    @property
    def texts(self) -> Sequence[str]:
        """Every cell as text: text as it is, anything else as canonical JSON."""

    def missing(self) -> Sequence[int]:
        """The positions, ascending, of cells that are None or the empty text."""


class ListColumn:
    """A column whose cells are in memory as Python has them."""

    def __init__(self, cells: Sequence[Any]) -> None:
        self._cells = cells

    def value(self, index: int) -> Any:
        """One cell."""
        return self._cells[index]

    @cached_property
    def texts(self) -> Sequence[str]:
        """Every cell as text; those of equal cells are one object."""
        if set(map(type, self._cells)) <= {str}:
            return self._cells
        known: dict[tuple[type, Any], str] = {}
        return [_text_once(value, known) for value in self._cells]

    def missing(self) -> Sequence[int]:
        """The positions of cells that are None or the empty text."""
        if None not in self._cells and "" not in self._cells:
            return ()
        return [index for index, value in enumerate(self._cells) if value is None or value == ""]


def _text_once(value: Any, known: dict[tuple[type, Any], str]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return json_text(value)
    key = (type(value), value)  # for Python, 1 and true are equal
    if key not in known:
        known[key] = json_text(value)
    return known[key]


class Table(ABC):
    """What a reader returns."""

    n_rows: int

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns with text in their order; every one is looked at."""

    @abstractmethod
    def has(self, column: str) -> bool:
        """Whether there is such a column, and it has text; no other column is looked at."""

    def holds_bytes(self, column: str) -> bool:
        """Whether there is such a column, and it has bytes (images, audio) in place of text."""
        return False

    @abstractmethod
    def column(self, column: str) -> Column:
        """The cells of a column; KeyError where both `has` and `holds_bytes` deny it."""

    @abstractmethod
    def unread(self, column: str) -> str | None:
        """What a column holds that is in the file and has no text; None of any other."""

    @property
    @abstractmethod
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """Declared names of ClassLabel columns, in order; their cells are these names."""

    @property
    @abstractmethod
    def remarks(self) -> tuple[str, ...]:
        """As `Splits.remarks`; every column is looked at."""

    def part(self, index: int) -> tuple[int, int]:
        """Which of the tables that it is made of a row is of, and its place in that one."""
        return 0, index

    def columns_of(self, index: int) -> Sequence[str]:
        """The columns in the order that they have in one row."""
        return self.columns

    @property
    def records(self) -> "Records":
        """Every row with a value (or None) for each column."""
        return Records(self)


class Record(Mapping[str, Any]):
    """One row of a table; a cell is read when it is asked for. Bytes are given by name, and are in no list."""

    __slots__ = ("_index", "_table")

    def __init__(self, table: Table, index: int) -> None:
        self._table = table
        self._index = index

    def __getitem__(self, column: str) -> Any:
        return self._table.column(column).value(self._index)

    def __contains__(self, column: object) -> bool:
        return isinstance(column, str) and self._table.has(column)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.columns_of(self._index))

    def __len__(self) -> int:
        return len(self._table.columns)

    def __repr__(self) -> str:
        return repr(dict(self))


class Records(Sequence[Record]):
    """The rows of a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.n_rows

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        found = range(len(self))[index]
        return Record(self._table, found) if isinstance(found, int) else [Record(self._table, own) for own in found]


class ColumnNames(Sequence[str]):
    """The columns of a table; whether one is among them is known without a look at the others."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __contains__(self, column: object) -> bool:
        return isinstance(column, str) and self._table.has(column)

    def __len__(self) -> int:
        return len(self._table.columns)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._table.columns[index]

    def __eq__(self, other: object) -> bool:
        return self._table.columns == tuple(other) if isinstance(other, ColumnNames | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class ReadTable(Table):
    """A table that was read as a whole, as text files are."""

    n_rows: int
    cells: Mapping[str, Column]
    remarks: tuple[str, ...] = ()
    orders: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Row -> its columns in its own order, where that is another one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that can be read."""
        return tuple(self.cells)

    def has(self, column: str) -> bool:
        """As `Table.has`."""
        return column in self.cells

    def column(self, column: str) -> Column:
        """As `Table.column`."""
        return self.cells[column]

    def unread(self, column: str) -> str | None:
        """As `Table.unread`."""
        return None

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """As `Table.class_names`."""
        return {}

    def columns_of(self, index: int) -> Sequence[str]:
        """As `Table.columns_of`."""
        return self.orders.get(index) or self.columns
