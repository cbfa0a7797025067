"""What a data file is by its content, where its name says another thing or none."""

import csv
import json
import zipfile
from itertools import islice
from pathlib import Path

from sft.config.dataset import ReadOptions
from sft.data.files.dialects import dialect_of
from sft.data.files.text_files import BYTE_ORDER_MARK, OLE, PARQUET, ZIP, decoded, encoding_of, file_bytes, text_lines
from sft.exceptions import DataError, UserError

DELIMITED = ("csv", "tsv")
JSON = ("json", "jsonl")
HEAD_BYTES = 2**16
COMPARED_ROWS = 20
WORKBOOK_PARTS = ("xl/workbook.xml", "xl/workbook.bin")
"""The part of the archive that every .xlsx or .xlsb file has."""
ENCRYPTED_PART = "EncryptedPackage".encode("utf-16-le")


def format_of(path: Path, by_name: str | None, read: ReadOptions) -> str:
    """As `known_format`; a file that shows none and has no name of one counts as csv."""
    return known_format(path, by_name, read) or "csv"


def known_format(path: Path, by_name: str | None, read: ReadOptions) -> str | None:
    """The format in which a file is read: csv, tsv, json, jsonl, parquet or xlsx.

    Args:
        path: the file.
        by_name: the format that its name says, which holds unless the content is plainly of another; None = none.
        read: its encoding, and what else the user wrote of it.

    Returns:
        None where neither the name nor the content says one.

    Raises:
        DataError: it is a spreadsheet that is encrypted, or of another kind of no use.
        MachineError: it cannot be read.
    """
    head = file_bytes(path, HEAD_BYTES)
    if head.startswith(PARQUET):
        return "parquet"
    if head.startswith(ZIP):
        return "xlsx" if by_name == "xlsx" or _is_workbook(path) else by_name
    if head.startswith(OLE):
        return _refused_ole(path)
    text = _start_of_text(head, read.encoding)
    if text is None:
        return by_name
    if by_name not in JSON and text.startswith(("{", "[")) and _is_json(path, text, read.encoding):
        return "json"
    if by_name not in DELIMITED and not text.startswith(("{", "[")) and _is_table(path, text, read):
        return "csv"
    return by_name


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return not set(WORKBOOK_PARTS).isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _refused_ole(path: Path) -> str:
    """Refuse a file of the old Office format, which also wraps an .xlsx with a password."""
    if ENCRYPTED_PART in file_bytes(path):
        raise DataError(f"{path.name}: the spreadsheet is encrypted; save it without a password")
    raise DataError(f"{path.name}: this is an old spreadsheet or document (.xls); save its sheet as .xlsx or csv")


def _start_of_text(head: bytes, encoding: str) -> str | None:
    """The beginning of a file from its first character that is not blank; None where it is no text."""
    try:
        text = head.decode(encoding_of(head, encoding), errors="replace")
    except LookupError:  # told by the reader
        return None
    text = text.removeprefix(BYTE_ORDER_MARK).lstrip()
    return text if text and "\0" not in text else None


def _is_json(path: Path, start: str, encoding: str) -> bool:
    """Whether a text is JSON, or its first line is: what begins like it may be a header such as `[text],label`."""
    if _parses(start.partition("\n")[0]):
        return True
    try:
        return _parses(decoded(path, encoding))
    except UserError:  # an undecodable byte, told by the reader
        return False


def _parses(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _is_table(path: Path, start: str, read: ReadOptions) -> bool:
    """Whether the first rows have several cells each, and all equally many."""
    whole = start.rpartition("\n")[0] or start
    try:
        dialect = dialect_of(path, lambda: text_lines(whole), read)
        rows = list(islice(filter(None, dialect.reader(text_lines(whole))), COMPARED_ROWS))
    except (csv.Error, UserError):
        return False
    return len(rows) > 1 and len(rows[0]) > 1 and {len(row) for row in rows} == {len(rows[0])}
