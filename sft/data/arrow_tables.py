"""Arrow tables (parquet files, saved and hub data sets) to rows of JSON values; pyarrow is imported when needed."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from sft.config.texts import quoted
from sft.data.rows import Table
from sft.errors import DataError, MachineError

BINARY = "binary data such as images or audio, and no text"


def read_parquet(path: Path) -> Table:
    """The rows of a parquet file; ClassLabel columns that `datasets` declared in it give their names.

    Raises:
        DataError: the file is not valid parquet, has no columns, or two of one name.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with path.open("rb") as file:
            table = pyarrow.parquet.ParquetFile(file).read()
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise MachineError(f"{path}: cannot be read: {error.strerror}") from error
        raise DataError(f"{path.name}: not valid parquet ({str(error).splitlines()[0]})") from None
    try:
        return from_arrow(table, _declared_class_names(table))
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None


def from_arrow(table: Any, class_names: Mapping[str, Sequence[str]]) -> Table:
    """Rows of an Arrow table.

    Columns with binary data (images, audio) have no text and are left out, and so are columns with a value that
    Python cannot hold (a date beyond the year 9999, bytes that are no UTF-8). Not-a-number is missing, dates are ISO
    text, and a class number outside the declared names (such as -1 for "not known") is missing.

    Args:
        table: a `pyarrow.Table`.
        class_names: declared names of its ClassLabel columns.

    Raises:
        DataError: no columns, or two of one name.
    """
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise DataError(f"there are columns twice: {', '.join(map(quoted, twice))}; give each its own name")
    if not table.column_names:
        raise DataError("there are no columns")
    cells: dict[str, list[Any]] = {}
    unread: dict[str, str] = {}
    for name in table.column_names:
        column = table.column(name)
        if _has_binary(column.type):
            unread[name] = BINARY
            continue
        try:
            column.validate(full=True)
            cells[name] = _cells(column, class_names.get(name))
        except (ValueError, OverflowError, KeyError) as error:  # KeyError: a time zone that is not installed
            unread[name] = f"what cannot be read ({str(error).splitlines()[0]})"
    records = tuple(dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
    used_names = {name: tuple(names) for name, names in class_names.items() if name in cells}
    remarks = tuple(
        f"column {quoted(name)} is left out: it holds {kind}" for name, kind in unread.items() if kind != BINARY
    )
    return Table(tuple(cells), records, used_names, remarks, unread)


def _cells(column: Any, names: Sequence[str] | None) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if names is None or any(isinstance(value, str) for value in values):
        return [_plain(value) for value in values]
    return [names[value] if value is not None and 0 <= value < len(names) else None for value in values]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else (None if math.isnan(value) else str(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)


def _has_binary(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return True
    return any(_has_binary(kind.field(i).type) for i in range(kind.num_fields))


def _declared_class_names(table: Any) -> dict[str, list[str]]:
    """ClassLabel names that `datasets` writes into the schema of every parquet file it makes."""
    raw = (table.schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return {}
    try:
        features = json.loads(raw)["info"]["features"]
        declared = {column: feature["names"] for column, feature in features.items() if _is_class_label(feature)}
    except (ValueError, KeyError, TypeError, AttributeError):  # written by another program: the cells are as they are
        return {}
    return {column: names for column, names in declared.items() if _fits(table, column, names)}


def _is_class_label(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel"


def _fits(table: Any, column: str, names: Any) -> bool:
    """Whether a column holds class numbers or names, and the names are text."""
    import pyarrow.types as types

    if table.column_names.count(column) != 1 or not isinstance(names, list):
        return False
    kind = table.schema.field(column).type
    holds_classes = types.is_integer(kind) or types.is_string(kind) or types.is_null(kind)
    return holds_classes and all(isinstance(name, str) for name in names)
