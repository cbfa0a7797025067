"""Text files to text, and json and jsonl files to tables, whose cells are JSON values."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sft.config.dataset import ReadOptions
from sft.config.texts import LONE_SURROGATE
from sft.data.rows import Table
from sft.errors import DataError, MachineError, UserError

LIKELY_ENCODINGS = ("utf-8", "cp1252", "shift_jis", "gb18030", "latin-1")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_jsonl(path: Path, read: ReadOptions) -> Table:
    """The rows of a file with one JSON object per line; blank lines are skipped.

    Raises:
        DataError: names the line that is not a JSON object.
    """
    return _from_lines(path, decoded(path, read.encoding))


def read_json(path: Path, read: ReadOptions) -> Table:
    """The rows of a file with a JSON list of objects, or with one object per line.

    Raises:
        DataError: the file is neither.
    """
    text = decoded(path, read.encoding)
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
    if _ESCAPED_SURROGATE.search(text):
        for index, item in enumerate(items):
            _check_characters(f"{path.name} row {index} (from 0)", item)
    return _table(items)


def merged(tables: Sequence[Table]) -> Table:
    """The tables of the files of one split, one after the other; a column that one of them lacks is missing there."""
    if len(tables) == 1:
        return tables[0]
    columns = tuple(dict.fromkeys(column for table in tables for column in table.columns))
    records = tuple(_filled(record, columns) for table in tables for record in table.records)
    class_names = {column: names for table in tables for column, names in table.class_names.items()}
    return Table(columns, records, class_names, tuple(remark for table in tables for remark in table.remarks))


def decoded(path: Path, encoding: str) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        DataError: a byte is not of the encoding, or what it gives is no text; names the line.
        MachineError: the file cannot be read.
    """
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
    half = LONE_SURROGATE.search(text)
    if half is not None:
        line = text.count("\n", 0, half.start()) + 1
        raise _lone_surrogate(f"{path.name} line {line}", half)
    return text.removeprefix("\ufeff")


def _lone_surrogate(place: str, found: re.Match[str]) -> DataError:
    """Half of a character in data, which no tokenizer takes and no file of results can hold."""
    return DataError(
        f"{place}: \\u{ord(found[0]):04x} is half of a character (a lone surrogate), as in texts cut within it; "
        "take it out, or write \\ufffd in its place"
    )


def _fitting_encodings(data: bytes) -> Iterator[str]:
    for encoding in ("utf-16", *LIKELY_ENCODINGS) if data.startswith(UTF16_MARKS) else LIKELY_ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        yield encoding


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
    if _ESCAPED_SURROGATE.search(line):
        _check_characters(f"{path.name} line {number}", value)
    return value


def _check_characters(place: str, value: Any) -> None:
    """Refuse half of a character in keys and texts, however deep: JSON can write it, and nothing else can hold it."""
    half = LONE_SURROGATE.search(json.dumps(value, ensure_ascii=False))
    if half is not None:
        raise _lone_surrogate(place, half)


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
