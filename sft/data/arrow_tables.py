"""Arrow tables (parquet files, saved and hub data sets) to rows of JSON values; pyarrow is imported when needed."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from sft.data.rows import Table
from sft.errors import DataError, MachineError


def read_parquet(path: Path) -> Table:
    """The rows of a parquet file; ClassLabel columns that `datasets` declared in it give their names.

    Raises:
        DataError: the file is not valid parquet.
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
    return from_arrow(table, _declared_class_names(table))


def from_arrow(table: Any, class_names: Mapping[str, Sequence[str]]) -> Table:
    """Rows of an Arrow table.

    Columns with binary data (images, audio) have no text and are left out. Not-a-number is missing, dates are ISO
    text, and a class number outside the declared names (such as -1 for "not known") is missing.

    Args:
        table: a `pyarrow.Table`.
        class_names: declared names of its ClassLabel columns.
    """
    columns = [field.name for field in table.schema if not _has_binary(field.type)]
    cells = [_cells(table.column(name), class_names.get(name)) for name in columns]
    records = tuple(dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True))
    used_names = {name: tuple(names) for name, names in class_names.items() if name in columns}
    return Table(tuple(columns), records, used_names)


def _cells(column: Any, names: Sequence[str] | None) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if names is None:
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
    except (ValueError, KeyError, TypeError):
        return {}
    return {
        column: feature["names"]
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }
