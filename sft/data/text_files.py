"""Text files to text, and json and jsonl files to tables, whose cells are JSON values."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sft.config.dataset import ReadOptions
from sft.config.texts import LONE_SURROGATE, json_kind, listed, quoted
from sft.data.rows import Table
from sft.errors import DataError, MachineError, UserError

LIKELY_ENCODINGS = ("utf-8", "cp1252", "shift_jis", "gb18030", "latin-1")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
NO_TEXT = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save its sheet as csv",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet or document; save its sheet as csv",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"BZh9": "compressed by bzip2; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"PAR1\x15": "a parquet file; name it .parquet",
    b"SQLite format": "an SQLite database; export its table as csv",
    b"version https://git-lfs": "a pointer of Git LFS and not the data; fetch them with `git lfs pull`",
}
"""First bytes -> what a file is that has another name."""
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


def merged(tables: Sequence[Table]) -> Table:
    """The tables of the files of one split, one after the other; a column that one of them lacks is missing there."""
    if len(tables) == 1:
        return tables[0]
    columns = tuple(dict.fromkeys(column for table in tables for column in table.columns))
    records = tuple(_filled(record, columns) for table in tables for record in table.records)
    class_names = {column: names for table in tables for column, names in table.class_names.items()}
    remarks = tuple(remark for table in tables for remark in table.remarks)
    unread = {column: kind for table in tables for column, kind in table.unread.items() if column not in columns}
    return Table(columns, records, class_names, remarks, unread)


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
    for signature, kind in NO_TEXT.items():
        if data.startswith(signature):
            raise DataError(f"{path.name}: this is {kind} (found by its first bytes)")
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        twice = next(key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number]))
        raise ValueError(f"the key {quoted(twice)} stands twice in one object")
    return record


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object)


def _parse(text: str) -> Any:
    return _DECODER.decode(text)


def _table(path: Path, records: Sequence[Mapping[str, Any]]) -> Table:
    columns = tuple(dict.fromkeys(column for record in records for column in record))
    if not columns:
        raise DataError(f"{path.name}: the file is empty" if not records else f"{path.name}: no row has a column")
    return Table(columns, tuple(_filled(record, columns) for record in records), {})


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


def _filled(record: Mapping[str, Any], columns: Sequence[str]) -> Mapping[str, Any]:
    if len(record) == len(columns):
        return record
    return {column: record.get(column) for column in columns}
