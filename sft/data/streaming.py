"""The rows of one file, one after the other, where the file need not fit into memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.config.dataset import ReadOptions
from sft.data.cells.conversations import Conversation, NoAnswer, asked_conversation, asked_turns
from sft.data.cells.derived import cell_within
from sft.data.files.arrow_tables import parquet_rows
from sft.data.files.content import DELIMITED, format_of
from sft.data.files.delimited import csv_rows
from sft.data.files.json_files import jsonl_rows
from sft.data.files.reading import check_options, read_file
from sft.data.rows import Row
from sft.data.sources import file_split
from sft.exceptions import DataError
from sft.wording import counted, listed, quoted, shown, some

SHOWN = 10
MISSING = (None, "")


def rows_of_file(path: Path, read: ReadOptions) -> Iterator[Mapping[str, Any]]:
    """The rows as `load_splits` has them, each a map from its columns to its cells.

    Csv, tsv, JSON Lines and Parquet are read bit by bit, other JSON and spreadsheets as a whole.

    Raises:
        UserError: there is no such file, its ending is of no known format, or it is not as it must be.
    """
    by_name = file_split(path).format
    kind = format_of(path, by_name, read)
    check_options(path, kind, read)
    if kind in DELIMITED:
        yield from csv_rows(path, read)
    elif kind == "jsonl":
        yield from jsonl_rows(path, read)
    elif kind == "parquet":
        yield from parquet_rows(path)
    else:
        yield from map(dict, read_file(path, by_name, read).records)


@dataclass(frozen=True)
class RowCounts:
    """Rows of a file of new rows."""

    kept: int
    dropped: int
    """With an empty cell, where `on_missing` leaves such rows out."""


@dataclass(frozen=True)
class NewRowsFile:
    """A file of rows that a finished experiment is asked about.

    Attributes:
        path: of the file.
        read: how it is read.
        columns: those that prompts read; dotted names reach fields within a column.
        on_missing: `dataset.on_missing`: what becomes of a row with an empty cell in one of them. `error` and `drop`
            are as for evaluated rows; `empty` takes it for empty text unless all of them are empty.
        conversation: of the columns, the one with turns to answer; None where there is none.
    """

    path: Path
    read: ReadOptions
    columns: Sequence[str]
    on_missing: str
    conversation: str | None = None

    def rows(self) -> Iterator[Row]:
        """The rows that are asked about, without those that are left out; `source_index` counts all from 0.

        Raises:
            DataError: a cell is no conversation; names its row.
        """
        for row in self._read():
            if self.on_missing == "empty" or not self._empty(row):
                yield row

    def checked(self) -> RowCounts:
        """Read all of it once.

        Raises:
            DataError: a column is not there, a cell is empty where that is refused or is no conversation, or there are
                no rows.
        """
        found: set[str] = set()
        columns: dict[str, None] = {}
        refused: list[str] = []
        n_rows = n_refused = n_dropped = 0
        for row in self._read():
            n_rows += 1
            columns.update(dict.fromkeys(row.values))
            empty = self._empty(row)
            found.update(set(self.columns).difference(empty))
            if empty and self.on_missing == "drop":
                n_dropped += 1
            elif empty and (self.on_missing != "empty" or len(empty) == len(self.columns)):
                n_refused += 1
                refused += [f"{row.source_index} ({shown(empty[-1])})"] if n_refused <= SHOWN else []
        absent = [column for column in self.columns if column not in found and column not in columns]
        if n_rows and absent:
            raise DataError(f'{self.path.name}: column "{absent[0]}" not found; columns are: {listed(columns)}')
        if n_refused:
            raise DataError(
                f"{self.path.name}: used columns are empty in {counted(n_refused, 'row')}: {some(refused, SHOWN)} "
                "(rows counted from 0); fill them, or take these rows out"
            )
        if n_rows == n_dropped:
            raise DataError(f"{self.path.name}: no rows" + (" without empty cells" if n_rows else ""))
        return RowCounts(n_rows - n_dropped, n_dropped)

    def _read(self) -> Iterator[Row]:
        """All rows, with the used columns that they have only in another shape."""
        for index, cells in enumerate(rows_of_file(self.path, self.read)):
            derived = {column: cell_within(cells, column) for column in self.columns if column not in cells}
            if self.conversation is not None:
                derived[self.conversation] = self._asked(index, cells, self.conversation)
            yield Row(index, {**cells, **{name: value for name, value in derived.items() if value is not None}})

    def _asked(self, index: int, cells: Mapping[str, Any], column: str) -> Conversation | None:
        try:
            return asked_conversation(asked_turns(cells, column))
        except NoAnswer:
            return None
        except ValueError as error:
            raise DataError(f"{self.path.name} row {index} (from 0): {quoted(column)} {error}") from None

    def _empty(self, row: Row) -> list[str]:
        return [column for column in self.columns if row.values.get(column) in MISSING]
