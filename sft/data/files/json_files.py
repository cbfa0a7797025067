"""Json and jsonl files to tables, whose cells are JSON values."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from sft.config.dataset import ReadOptions
from sft.data.files.json_rows import check_are_rows, check_is_row, rows_at, rows_field
from sft.data.files.text_files import (
    OddText,
    decoded,
    from_begin,
    is_plain,
    lone_surrogate,
    plain_blocks,
    plain_file,
)
from sft.data.tables import ListColumn, ReadTable, Table
from sft.exceptions import DataError
from sft.wording import LONE_SURROGATE, json_kind, quoted

JSON_BLANKS = " \t\r\n"

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text} is too large")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = next(key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number]))
        raise ValueError(f"the key {quoted(twice)} stands twice in one object")
    return record


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object)


class JsonRows(NamedTuple):
    """What a file of JSON holds."""

    table: Table
    kind: str
    """`jsonl` = an object on each line, else `json`."""

    field: str | None
    """Where in an object the rows lie; None = no object is around them."""


def read_jsonl(path: Path, read: ReadOptions) -> JsonRows:
    """As `read_json`, fast where each line has one JSON object, as the name says.

    Raises:
        DataError: names the line that is not a JSON object.
    """
    table = _from_plain_lines(path) if is_plain(read.encoding) and read.field is None else None
    if table is None or (table.n_rows == 1 and rows_field(table.records[0]) is not None):
        return read_json(path, read)
    return JsonRows(table, "jsonl", None)


def jsonl_rows(path: Path, read: ReadOptions) -> Iterator[dict[str, Any]]:
    """The rows that `read_jsonl` reads, one after the other, of a file that need not fit into memory.

    A file that is JSON as a whole is read at once.

    Raises:
        DataError: as `read_jsonl`.
    """
    n_given = 0
    try:
        if read.field is not None:
            raise OddText
        for records in _records_of_lines(path, read.encoding):
            if n_given == 0 and len(records) == 1 and rows_field(records[0]) is not None:
                raise OddText
            n_given += len(records)
            yield from records
    except (OddText, ValueError, RecursionError, LookupError):
        table = read_json(path, read).table
        if n_given:
            raise
        yield from map(dict, table.records)


def _records_of_lines(path: Path, encoding: str) -> Iterator[list[dict[str, Any]]]:
    """The objects of a file with one on each line, in parts."""
    if is_plain(encoding):
        yield from map(_records, plain_blocks(path))
    else:
        with plain_file(path, encoding) as file:
            yield from map(_records, from_begin(file))


def read_json(path: Path, read: ReadOptions) -> JsonRows:
    """The rows of a file with a JSON list of objects, an object around such a list, or one object per line.

    Raises:
        DataError: the file is none of these, or has no row; where a line is at fault, names it.
    """
    text = decoded(path, read.encoding)
    if text.lstrip()[:1] not in ("[", "{"):
        return _from_lines(path, text, read)
    try:
        value = _parse(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[0] == "{" or path.suffix.lower() == ".jsonl":
            return _from_lines(path, text, read)
        place = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{path.name}{place}: not valid JSON ({_reason(error)})") from None
    field = read.field
    if field is None and isinstance(value, dict):
        field = rows_field(value)
    if field is not None:
        items = rows_at(path.name, value, field)
    elif isinstance(value, dict):
        if path.suffix.lower() == ".jsonl" and "\n" not in text.strip():
            return _from_lines(path, text, read)
        check_is_row(path.name, value)
        items = [value]
    else:
        check_are_rows(path.name, value)
        items = value
    if _ESCAPED_SURROGATE.search(text):
        for index, item in enumerate(items):
            _check_characters(f"{path.name} row {index} (from 0)", item)
    return JsonRows(_table(path, items), "json", field)


def json_object(path: Path, read: ReadOptions) -> dict[str, Any] | None:
    """The one object that a file is as a whole; None where it is anything else."""
    try:
        value = _parse(decoded(path, read.encoding))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _from_plain_lines(path: Path) -> Table | None:
    """As `_from_lines`, three times as fast and in little memory; None where a line or a byte is not as it must be."""
    columns = RecordColumns()
    try:
        for block in plain_blocks(path):
            columns.add(_records(block))
    except (OddText, ValueError, RecursionError):  # told by `_from_lines`, which knows the place
        return None
    table = columns.finished()
    return table if table.columns else None


def _records(block: str) -> list[dict[str, Any]]:
    """The objects of whole lines."""
    found: list[dict[str, Any]] = []
    parse = _DECODER.raw_decode
    has_escapes = _ESCAPED_SURROGATE.search(block) is not None
    for line in block.split("\n"):
        if line.startswith("{"):
            value, end = parse(line)
            if end != len(line) and line[end:].strip(JSON_BLANKS):
                raise OddText
        elif line and not line.isspace():
            value = _parse(line)
            if not isinstance(value, dict):
                raise OddText
        else:
            continue
        if has_escapes and _ESCAPED_SURROGATE.search(line) and _half_character(value):
            raise OddText
        found.append(value)
    return found


def _from_lines(path: Path, text: str, read: ReadOptions) -> JsonRows:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            records.append(_json_object(path, number, line))
    if read.field is not None:
        raise DataError(f"dataset.read.field: {path.name} has one JSON object per line, each a row; take field out")
    return JsonRows(_table(path, records), "jsonl", None)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = _parse(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name} line {number}: not valid JSON ({_reason(error)})") from None
    if not isinstance(value, dict):
        raise DataError(
            f"{path.name} line {number}: not a JSON object but {json_kind(value)}, {line.strip()[:40]!r}; each line "
            "is a row, {column: value}"
        )
    if _ESCAPED_SURROGATE.search(line):
        _check_characters(f"{path.name} line {number}", value)
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a number has more than 4300 digits; write it as text" if "digits" in str(error) else str(error)


def _check_characters(place: str, value: Any) -> None:
    """Refuse half of a character in keys and texts, however deep: JSON can write it, and nothing else can hold it."""
    half = _half_character(value)
    if half is not None:
        raise lone_surrogate(place, half)


def _half_character(value: Any) -> re.Match[str] | None:
    return LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False))


def _parse(text: str) -> Any:
    return _DECODER.decode(text)


def _table(path: Path, records: Sequence[Mapping[str, Any]]) -> Table:
    columns = tuple(dict.fromkeys(column for record in records for column in record))
    if not columns:
        raise DataError(f"{path.name}: the file is empty" if not records else f"{path.name}: no row has a column")
    table = RecordColumns()
    table.add(records)
    return table.finished()


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
