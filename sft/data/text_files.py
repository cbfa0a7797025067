"""Text files to tables: csv and tsv (cells are strings), json and jsonl (cells are JSON values).

Text stays text: there is no guessing of types and no list of words that mean "missing"; only the empty cell is.
"""

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sft.config.dataset import ReadOptions
from sft.data.rows import Table
from sft.errors import DataError, MachineError, UserError

SEPARATORS = (",", ";", "\t", "|")
LIKELY_ENCODINGS = ("utf-8", "cp1252", "shift_jis", "gb18030", "latin-1")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_csv(path: Path, read: ReadOptions, separator: str | None) -> Table:
    """The rows of a csv or tsv file, quoted cells with their line breaks; an empty cell is None.

    Args:
        path: the file.
        read: its encoding, and the separator if the user wrote one.
        separator: used where the user wrote none; None = the one that the header has most of.

    Raises:
        DataError: the file is empty, a byte or quote is broken, or a line has other cells than the header.
    """
    text = _decoded(path, read.encoding)
    records = _csv_records(path, text, read.sep or separator or _header_separator(text))
    try:
        columns = next(records)[1]
    except StopIteration:
        raise DataError(f"{path.name}: the file is empty") from None
    if len(set(columns)) < len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise DataError(f"{path.name}: the header has columns twice: {', '.join(map(repr, twice))}")
    return Table(tuple(columns), tuple(_csv_row(path, columns, line, cells) for line, cells in records), {})


def read_jsonl(path: Path, read: ReadOptions) -> Table:
    """The rows of a file with one JSON object per line; blank lines are skipped.

    Raises:
        DataError: names the line that is not a JSON object.
    """
    return _from_lines(path, _decoded(path, read.encoding))


def read_json(path: Path, read: ReadOptions) -> Table:
    """The rows of a file with a JSON list of objects, or with one object per line.

    Raises:
        DataError: the file is neither.
    """
    text = _decoded(path, read.encoding)
    if not text.lstrip().startswith("["):
        return _from_lines(path, text)
    try:
        items = _parse(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path.name} line {error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: not valid JSON ({error})") from None
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise DataError(f"{path.name}: item {index} (from 0) of the list is not a JSON object")
    return _table(items)


def merged(tables: Sequence[Table]) -> Table:
    """The tables of the files of one split, one after the other; a column that one of them lacks is missing there."""
    if len(tables) == 1:
        return tables[0]
    columns = tuple(dict.fromkeys(column for table in tables for column in table.columns))
    records = tuple(_filled(record, columns) for table in tables for record in table.records)
    class_names = {column: names for table in tables for column, names in table.class_names.items()}
    return Table(columns, records, class_names)


def _decoded(path: Path, encoding: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MachineError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fitting = ", ".join(_fitting_encodings(data)) or "none of the usual ones"
        raise DataError(
            f"{path.name} line {line}: byte 0x{data[error.start]:02x} is not valid {encoding}; "
            f"encodings that fit: {fitting}; write it as dataset.read: {{encoding: ...}}"
        ) from None
    except LookupError:
        raise UserError(
            f"dataset.read.encoding: unknown encoding {encoding!r}; utf-8 and cp1252 are two known"
        ) from None
    return text.removeprefix("\ufeff")


def _fitting_encodings(data: bytes) -> Iterator[str]:
    for encoding in ("utf-16", *LIKELY_ENCODINGS) if data.startswith(UTF16_MARKS) else LIKELY_ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        yield encoding


def _header_separator(text: str) -> str:
    def cells(separator: str) -> int:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        return len(next(reader, []))

    csv.field_size_limit(sys.maxsize)
    return max(SEPARATORS, key=cells)


def _csv_records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(sys.maxsize)  # the library's own limit of 131072 characters would refuse long documents
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    start = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{path.name} line {start}: not valid csv ({error}); quotes in a cell are doubled"
            ) from None
        if cells is None:
            return
        if cells:
            yield start, cells
        start = reader.line_num + 1


def _csv_row(path: Path, columns: Sequence[str], line: int, cells: Sequence[str]) -> dict[str, str | None]:
    if len(cells) != len(columns):
        raise DataError(
            f"{path.name} line {line}: {len(cells)} cells where the header has {len(columns)} columns "
            f"({', '.join(columns)}); quote cells that hold the separator, or set dataset.read: {{sep: ...}}"
        )
    return {column: cell or None for column, cell in zip(columns, cells, strict=True)}


def _from_lines(path: Path, text: str) -> Table:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            records.append(_json_object(path, number, line))
    if not records:
        raise DataError(f"{path.name}: the file is empty")
    return _table(records)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = _parse(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else error
        raise DataError(f"{path.name} line {number}: not valid JSON ({reason})") from None
    if not isinstance(value, dict):
        raise DataError(f"{path.name} line {number}: not a JSON object but {line.strip()[:40]!r}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _parse(text: str) -> Any:
    return _DECODER.decode(text)


def _table(records: Sequence[Mapping[str, Any]]) -> Table:
    columns = tuple(dict.fromkeys(column for record in records for column in record))
    return Table(columns, tuple(_filled(record, columns) for record in records), {})


def _filled(record: Mapping[str, Any], columns: Sequence[str]) -> Mapping[str, Any]:
    if len(record) == len(columns):
        return record
    return {column: record.get(column) for column in columns}
