"""Tables one after the other, such as those of the files of one split."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

from sft.data.tables import NULL_TEXT, Column, Table


def merged(tables: Sequence[Table]) -> Table:
    """As `JoinedTable`; one table stays itself."""
    return tables[0] if len(tables) == 1 else JoinedTable(tables)


class JoinedTable(Table):
    """The tables of the files of one split, one after the other; a column that one of them lacks is missing there."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        *self._starts, self.n_rows = (0, *accumulate(table.n_rows for table in tables))
        self._columns: dict[str, Column] = {}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that can be read."""
        return tuple(dict.fromkeys(column for table in self._tables for column in table.columns))

    def has(self, column: str) -> bool:
        """As `Table.has`."""
        return any(table.has(column) for table in self._tables)

    def column(self, column: str) -> Column:
        """As `Table.column`."""
        if column not in self._columns:
            givers = [table for table in self._tables if table.has(column)]
            givers = givers or [table for table in self._tables if table.holds_bytes(column)]
            if not givers:
                raise KeyError(column)
            parts = [(table.n_rows, table.column(column) if table in givers else None) for table in self._tables]
            self._columns[column] = _JoinedColumn(parts)
        return self._columns[column]

    def holds_bytes(self, column: str) -> bool:
        """As `Table.holds_bytes`."""
        return not self.has(column) and any(table.holds_bytes(column) for table in self._tables)

    def unread(self, column: str) -> str | None:
        """As `Table.unread`."""
        if self.has(column):
            return None
        return next((found for table in reversed(self._tables) if (found := table.unread(column))), None)

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """As `Table.class_names`."""
        return {column: names for table in self._tables for column, names in table.class_names.items()}

    @property
    def remarks(self) -> tuple[str, ...]:
        """As `Table.remarks`."""
        return tuple(remark for table in self._tables for remark in table.remarks)

    def part(self, index: int) -> tuple[int, int]:
        """As `Table.part`."""
        part = bisect_right(self._starts, index) - 1
        return part, index - self._starts[part]

    def columns_of(self, index: int) -> Sequence[str]:
        """As `Table.columns_of`."""
        part, place = self.part(index)
        own = self._tables[part].columns_of(place)
        return own if len(own) == len(self.columns) else self.columns


class _JoinedColumn:
    def __init__(self, parts: Sequence[tuple[int, Column | None]]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(size for size, _ in parts)][:-1]

    def value(self, index: int) -> Any:
        part = bisect_right(self._starts, index) - 1
        column = self._parts[part][1]
        return None if column is None else column.value(index - self._starts[part])

    @cached_property
    def texts(self) -> Sequence[str]:
        found: list[str] = []
        for size, column in self._parts:
            found += [NULL_TEXT] * size if column is None else column.texts
        return found

    def missing(self) -> Sequence[int]:
        found: list[int] = []
        for start, (size, column) in zip(self._starts, self._parts, strict=True):
            found += [start + index for index in (range(size) if column is None else column.missing())]
        return found
