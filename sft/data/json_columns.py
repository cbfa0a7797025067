"""Records to columns, block by block, so that there are never records of more than one block."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sft.data.tables import ListColumn, ReadTable


class RecordColumns:
    """Takes records (column -> JSON value) in their order; a column that a record lacks is missing there."""

    def __init__(self) -> None:
        self._cells: dict[str, list[Any]] = {}
        self._orders: dict[int, tuple[str, ...]] = {}
        self._known_orders: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._n_rows = 0

    def add(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the next records."""
        if all(map(tuple(self._cells).__eq__, map(tuple, records))):
            for column, cells in self._cells.items():
                cells.extend(map(itemgetter(column), records))
        else:
            self._add_others(records)
        self._n_rows += len(records)

    def finished(self) -> ReadTable:
        """All of them as a table."""
        columns = tuple(self._cells)
        cells = {column: ListColumn(cells) for column, cells in self._cells.items()}
        orders = {
            index: order for index, order in self._orders.items() if len(order) == len(columns) and order != columns
        }
        return ReadTable(self._n_rows, cells, (), orders)

    def _add_others(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Take records of which some lack columns, have new ones, or have them in another order."""
        for column in dict.fromkeys(column for record in records for column in record):
            if column not in self._cells:
                self._cells[column] = [None] * self._n_rows
        for column, cells in self._cells.items():
            cells.extend([record.get(column) for record in records])
        columns = tuple(self._cells)
        for index, order in enumerate(map(tuple, records), start=self._n_rows):
            if len(order) == len(columns) and order != columns:
                self._orders[index] = self._known_orders.setdefault(order, order)
