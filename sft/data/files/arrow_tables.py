"""Arrow tables (parquet files, saved and hub data sets), of which only what is asked for is read and converted.

pyarrow is imported when needed.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sft.data.files.arrow_columns import BINARY, BytesColumn, UnreadColumn, arrow_column
from sft.data.tables import Column, Table
from sft.exceptions import DataError, MachineError
from sft.wording import quoted

BATCH_ROWS = 1024
"""Rows that are in memory at once where a file is read row by row."""


class ArrowTable(Table):
    """Rows of Arrow columns.

    Columns with binary data (images, audio) have no text and are read only where they are named; columns with a value
    that Python cannot hold (a date beyond the year 9999, bytes that are no UTF-8) are left out. Not-a-number is
    missing, dates are ISO text, and a class number outside the declared names (such as -1 for "not known") is missing.
    """

    def __init__(
        self, names: Sequence[str], n_rows: int, load: Callable[[str], Any], class_names: Mapping[str, Sequence[str]]
    ) -> None:
        """
        Args:
            names: the columns there are.
            n_rows: rows there are.
            load: gives the cells of a column, a `pyarrow.ChunkedArray`.
            class_names: declared names of its ClassLabel columns.

        Raises:
            DataError: no columns, or two of one name.
        """
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"there are columns twice: {', '.join(map(quoted, twice))}; give each its own name")
        if not names:
            raise DataError("there are no columns")
        self.n_rows = n_rows
        self._names = dict.fromkeys(names)
        self._load = load
        self._class_names = class_names
        self._read: dict[str, Column] = {}
        self._verdicts: dict[str, str | None] = {}

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns with text."""
        return tuple(name for name in self._names if self._verdict(name) is None)

    def has(self, column: str) -> bool:
        """As `Table.has`."""
        return column in self._names and self.unread(column) is None

    def holds_bytes(self, column: str) -> bool:
        """As `Table.holds_bytes`."""
        return self.unread(column) == BINARY

    def column(self, column: str) -> Column:
        """As `Table.column`.

        Raises:
            DataError: it is a column of bytes, and damaged.
        """
        if not (self.has(column) or self.holds_bytes(column)):
            raise KeyError(column)
        if column not in self._read:
            data, names = self._load(column), self._class_names.get(column)
            try:
                self._read[column] = arrow_column(data, names) if self.has(column) else BytesColumn(data)
            except UnreadColumn as error:
                raise DataError(f"column {quoted(column)} holds {error}") from None
        return self._read[column]

    def unread(self, column: str) -> str | None:
        """As `Table.unread`."""
        if column in self._names and column not in self._verdicts:
            try:
                self._read[column] = arrow_column(self._load(column), self._class_names.get(column))
                self._verdicts[column] = None
            except UnreadColumn as error:
                self._verdicts[column] = str(error)
        return self._verdicts.get(column)

    @cached_property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:
        """As `Table.class_names`."""
        names = {name: names for name, names in self._class_names.items() if name in self._names}
        return {name: tuple(own) for name, own in names.items() if self._verdict(name) is None}

    @property
    def remarks(self) -> tuple[str, ...]:
        """As `Table.remarks`."""
        found = {name: self._verdict(name) for name in self._names}
        return tuple(
            f"column {quoted(name)} is left out: it holds {kind}"
            for name, kind in found.items()
            if kind is not None and kind != BINARY
        )

    def _verdict(self, name: str) -> str | None:
        """As `unread`, of a column that nobody has asked for: its cells are not kept."""
        if name not in self._verdicts:
            found = self.unread(name)
            self._read.pop(name, None)
            return found
        return self._verdicts[name]


def read_parquet(path: Path) -> Table:
    """The rows of a parquet file; ClassLabel columns that `datasets` declared in it give their names.

    Raises:
        DataError: the file is not valid parquet, has no columns, or two of one name.
    """
    schema, n_rows = _opened(path, lambda file: (file.schema_arrow, file.metadata.num_rows))
    try:
        return ArrowTable(
            schema.names, n_rows, lambda name: _opened(path, lambda file: _column(file, name)), _declared(schema)
        )
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None


def parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows that `read_parquet` reads, one after the other, of a file that need not fit into memory.

    Raises:
        DataError: as `read_parquet`.
    """
    import pyarrow.parquet

    read_parquet(path)  # tells what is wrong with the file as a whole
    with path.open("rb") as opened:
        file = pyarrow.parquet.ParquetFile(opened)
        names = _declared(file.schema_arrow)
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield from map(dict, from_arrow(pyarrow.Table.from_batches([batch]), names).records)


def from_arrow(table: Any, class_names: Mapping[str, Sequence[str]]) -> Table:
    """Rows of an Arrow table in memory.

    Args:
        table: a `pyarrow.Table`.
        class_names: declared names of its ClassLabel columns.

    Raises:
        DataError: no columns, or two of one name.
    """
    return ArrowTable(table.column_names, table.num_rows, table.column, class_names)


def _opened(path: Path, read: Callable[[Any], Any]) -> Any:
    """What `read` takes from a parquet file."""
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as file:
            return read(pyarrow.parquet.ParquetFile(file))
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise MachineError(f"{path}: cannot be read: {error.strerror}") from error
        raise DataError(f"{path.name}: not valid parquet ({str(error).splitlines()[0]})") from None


def _column(file: Any, name: str) -> Any:
    """A column by its name, which the library reads also as a field within a column where it has a dot."""
    found = file.read(columns=[name])
    return found.column(name) if found.column_names.count(name) == 1 else file.read().column(name)


def _declared(schema: Any) -> dict[str, list[str]]:
    """ClassLabel names that `datasets` writes into the schema of every parquet file it makes."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return {}
    try:
        features = json.loads(raw)["info"]["features"]
        declared = {
            column: feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):  # written by another program: the cells are as they are
        return {}
    return {column: names for column, names in declared.items() if _fits(schema, column, names)}


def _fits(schema: Any, column: str, names: Any) -> bool:
    """Whether a column holds class numbers or names, and the names are text."""
    import pyarrow.types as types

    if schema.names.count(column) != 1 or not isinstance(names, list):
        return False
    kind = schema.field(column).type
    holds_classes = types.is_integer(kind) or types.is_string(kind) or types.is_null(kind)
    return holds_classes and all(isinstance(name, str) for name in names)
