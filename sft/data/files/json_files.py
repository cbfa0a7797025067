"""Json and jsonl files to tables, whose cells are JSON values."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

from sft.config.dataset import ReadOptions
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
from sft.errors import DataError
from sft.wording import LONE_SURROGATE, json_kind, listed, quoted

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


def read_jsonl(path: Path, read: ReadOptions) -> Table:
    """The rows of a file with one JSON object per line; blank lines are skipped.

    Raises:
        DataError: names the line that is not a JSON object.
    """
    table = _from_plain_lines(path) if is_plain(read.encoding) else None
    return _from_lines(path, decoded(path, read.encoding)) if table is None else table


def jsonl_rows(path: Path, read: ReadOptions) -> Iterator[dict[str, Any]]:
    """The rows that `read_jsonl` reads, one after the other, of a file that need not fit into memory.

    Raises:
        DataError: as `read_jsonl`.
    """
    try:
        if is_plain(read.encoding):
            for block in plain_blocks(path):
                yield from _records(block)
        else:
            with plain_file(path, read.encoding) as file:
                for line in from_begin(file):
                    yield from _records(line)
    except (OddText, ValueError, RecursionError, LookupError):
        _from_lines(path, decoded(path, read.encoding))
        raise


def read_json(path: Path, read: ReadOptions) -> Table:
    """The rows of a file with a JSON list of objects, or with one object per line.

    Raises:
        DataError: the file is neither, or has no row.
    """
    text = decoded(path, read.encoding)
    start = text.lstrip()[:1]
    if start == "{":
        whole = _whole_object(text)
        if whole is None:
            return _from_lines(path, text)
        _check_is_row(path, whole)
        return _table(path, [whole])
    if start != "[":
        return _from_lines(path, text)
    try:
        items = _parse(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path.name} line {error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: not valid JSON ({_reason(error)})") from None
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise DataError(
                f"{path.name}: item {index} (from 0) of the list is {json_kind(item)} and not a JSON object; a row is "
                "an object: {column: value}"
            )
    if _ESCAPED_SURROGATE.search(text):
        for index, item in enumerate(items):
            _check_characters(f"{path.name} row {index} (from 0)", item)
    return _table(path, items)


def _whole_object(text: str) -> dict[str, Any] | None:
    """The one object that a whole file is, on one line or many."""
    try:
        value = _parse(text)
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


def _from_lines(path: Path, text: str) -> Table:
    records = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            records.append(_json_object(path, number, line, text))
    return _table(path, records)


def _json_object(path: Path, number: int, line: str, text: str) -> dict[str, Any]:
    try:
        value = _parse(line)
    except (ValueError, RecursionError) as error:
        whole = "; the file as a whole is one JSON value: name it .json" if _is_json(text) else ""
        raise DataError(f"{path.name} line {number}: not valid JSON ({_reason(error)}){whole}") from None
    if not isinstance(value, dict):
        is_whole = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        whole = ": name the file .json" if is_whole and path.suffix == ".jsonl" else ""
        raise DataError(
            f"{path.name} line {number}: not a JSON object but {json_kind(value)}, {line.strip()[:40]!r}; each line "
            f"is a row, {{column: value}}{whole}"
        )
    if _ESCAPED_SURROGATE.search(line):
        _check_characters(f"{path.name} line {number}", value)
    return value


def _is_json(text: str) -> bool:
    try:
        _parse(text)
    except (ValueError, RecursionError):
        return False
    return True


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


def _check_is_row(path: Path, record: Mapping[str, Any]) -> None:
    """Refuse a file that is one object with the rows inside it, or with a list for each column."""
    for key, value in record.items():
        if isinstance(value, list) and len(value) > 1 and all(isinstance(item, dict) for item in value):
            raise DataError(
                f"{path.name}: one JSON object with {len(value)} objects under {quoted(key)}; if these are the "
                "rows, save that list as a file of its own"
            )
    sizes = {len(value) if isinstance(value, list | dict) else 0 for value in record.values()}
    if len(record) > 1 and len(sizes) == 1 and max(sizes) > 1:
        raise DataError(
            f"{path.name}: one JSON object with {max(sizes)} values under each of {listed(record)}: columns, and "
            "not rows; save it as a list of objects, {column: value} for each row"
        )


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
