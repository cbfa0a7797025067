"""Columns that are made of others: conversations, and fields within a column by dotted names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.data.cells.conversations import NamedRow, conversations_of, holds_turns
from sft.data.tables import Column, ListColumn, Table
from sft.exceptions import DataError
from sft.wording import quoted


class DerivedTable(Table):
    """A table with further columns, which hide its own of their names."""

    def __init__(self, table: Table, derived: Mapping[str, Column]) -> None:
        self._table = table
        self._derived = dict(derived)
        self.n_rows = table.n_rows

    @property
    def columns(self) -> tuple[str, ...]:
        """Its own columns, then the further ones."""
        return tuple(self.columns_in(self._table.columns))

    def columns_in(self, own: Sequence[str]) -> Sequence[str]:
        """Some order of its own columns, with the further ones at the end."""
        return [*own, *(column for column in self._derived if column not in own)]

    def has(self, column: str) -> bool:
        """As `Table.has`."""
        return column in self._derived or self._table.has(column)

    def holds_bytes(self, column: str) -> bool:
        """As `Table.holds_bytes`."""
        return column not in self._derived and self._table.holds_bytes(column)

    def column(self, column: str) -> Column:
        """As `Table.column`."""
        return self._derived[column] if column in self._derived else self._table.column(column)

    def unread(self, column: str) -> str | None:
        """As `Table.unread`."""
        return None if column in self._derived else self._table.unread(column)

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """As `Table.class_names`."""
        return self._table.class_names

    @property
    def remarks(self) -> tuple[str, ...]:
        """As `Table.remarks`."""
        return self._table.remarks

    def columns_of(self, index: int) -> Sequence[str]:
        """As `Table.columns_of`."""
        return self.columns_in(self._table.columns_of(index))

    def part(self, index: int) -> tuple[int, int]:
        """As `Table.part`."""
        return self._table.part(index)


@dataclass(frozen=True)
class UsedColumns:
    """The columns of a data set that are used.

    Attributes:
        inputs: what prompts read.
        output: the gold.
        further: what else is read, such as columns that are kept.
    """

    inputs: tuple[str, ...]
    output: str
    further: tuple[str, ...] = ()

    @property
    def conversation(self) -> str | None:
        """The column that is prompt and answer in one; None where there is none."""
        return self.output if self.inputs == (self.output,) else None


def with_derived(table: Table, used: UsedColumns, named: NamedRow, *, drop: bool) -> Table:
    """The table with the used columns that it has only in another shape.

    Args:
        table: as it was read.
        used: the columns to look for.
        named: names a row in messages.
        drop: whether conversations without an answer are missing cells, and no error.

    Raises:
        DataError: a row is no conversation; or a column of conversations is used as if it were text.
    """
    derived: dict[str, Column] = {}
    for column in dict.fromkeys([*used.inputs, used.output, *used.further]):
        found = None
        if column == used.conversation:
            found = conversations_of(table, column, named, drop=drop)
        elif not table.has(column):
            found = None if table.holds_bytes(column) else _within(table, column)
        elif column not in used.further and holds_turns(table.column(column), table.n_rows):
            raise DataError(
                f"column {quoted(column)} holds conversations and not text; to learn and answer their assistant turns "
                f"write input_columns: ['{column}'] and output_column: '{column}', or name one turn, such as "
                f"'{column}.0.content'"
            )
        if found is not None:
            derived[column] = found
    return DerivedTable(table, derived) if derived else table


def cell_within(cells: Mapping[str, Any], name: str) -> Any:
    """What stands at a name in one row: a column of this name, else fields within one; None where nothing does."""
    if name in cells:
        return cells[name]
    parts = name.split(".")
    places = ((".".join(parts[:length]), parts[length:]) for length in range(len(parts) - 1, 0, -1))
    return next((_field(cells[outer], path) for outer, path in places if outer in cells), None)


def _within(table: Table, name: str) -> Column | None:
    """The fields at a dotted name within a column; None where no column begins the name or no row has such a field."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        outer = ".".join(parts[:length])
        if table.has(outer):
            column = table.column(outer)
            cells = [_field(column.value(place), parts[length:]) for place in range(table.n_rows)]
            return ListColumn(cells) if any(cell is not None for cell in cells) else None
    return None


def _field(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path of keys and list positions; None where nothing does."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
