"""What a data file is: its format, how it must be read, its columns and how many rows it has."""

from dataclasses import dataclass, replace
from pathlib import Path

from sft.config.dataset import ReadOptions
from sft.data.files.arrow_tables import read_parquet
from sft.data.files.content import DELIMITED, JSON, format_of
from sft.data.files.delimited import read_csv
from sft.data.files.dialects import dialect_of
from sft.data.files.json_files import json_object, read_json, read_jsonl
from sft.data.files.json_rows import likely_field, rows_field
from sft.data.files.reading import check_options
from sft.data.files.spreadsheets import read_spreadsheet
from sft.data.files.text_files import (
    NO_TEXT,
    decoded,
    encoding_of,
    file_bytes,
    fitting_encodings,
    is_plain,
    text_lines,
)
from sft.data.folders import FORMATS
from sft.data.tables import Table
from sft.wording import listed, shown

FORMAT_NAMES = {"xlsx": "a spreadsheet (.xlsx)", "jsonl": "JSON Lines", "json": "JSON", "parquet": "parquet"}
KNOWN = "utf-8"


@dataclass(frozen=True)
class FileShape:
    """What a data file is, by its content.

    Attributes:
        path: the file.
        format: `csv` (also with tabs), `json`, `jsonl`, `parquet` or `xlsx`.
        columns: those with text, in their order.
        n_rows: rows below the header.
        read: what `dataset.read` must say so that the file is read as it is here; at its defaults, nothing.
        remarks: what a person should know of the file, a line each.
        encoding: of a text file.
        separator: of csv.
        quote: of csv; empty = quotation marks are text.
        field: where in a JSON object the rows lie; None = no object is around them.
        sheet: of a spreadsheet, the one that is read.
        sheets: of a spreadsheet, all visible ones with cells.
    """

    path: Path
    format: str
    columns: tuple[str, ...]
    n_rows: int
    read: ReadOptions
    remarks: tuple[str, ...] = ()
    encoding: str | None = None
    separator: str | None = None
    quote: str | None = None
    field: str | None = None
    sheet: str | None = None
    sheets: tuple[str, ...] = ()


def file_shape(path: Path, read: ReadOptions | None = None) -> FileShape:
    """What a file is.

    What is not written in `read` is found, also what stages refuse to guess: an encoding that fits, the first of many
    sheets, which of several lists has the rows. It then is in the shape's `read`.

    Args:
        path: the file; its name counts only where the content leaves it open.
        read: what the user wrote of it; None = nothing.

    Raises:
        UserError: it is no data, is broken, or cannot be read as `read` says; one line with the shape that was found.
        MachineError: the file cannot be read, or the package for it is not installed.
    """
    read = _with_encoding(path, read or ReadOptions())
    kind = format_of(path, FORMATS.get(path.suffix.lower()), read)
    check_options(path, kind, read)
    if kind in DELIMITED:
        shape = _of_csv(path, read)
    elif kind in JSON:
        shape = _of_json(path, kind, read)
    elif kind == "xlsx":
        shape = _of_spreadsheet(path, read)
    else:
        shape = _of_table(path, kind, read, read_parquet(path))
    return replace(shape, remarks=(*_other_name(path, shape), *shape.remarks))


def _with_encoding(path: Path, read: ReadOptions) -> ReadOptions:
    """The options with an encoding in which every byte of the file is valid, where none is written."""
    data = file_bytes(path)
    if encoding_of(data, read.encoding) != KNOWN or data.startswith(tuple(NO_TEXT)) or b"\0" in data:
        return read
    fitting = next(fitting_encodings(data), KNOWN)
    return read if fitting == KNOWN else read.model_copy(update={"encoding": fitting})


def _of_csv(path: Path, read: ReadOptions) -> FileShape:
    """The shape of a csv or tsv file; its columns and rows are those that the reader finds."""
    dialect = dialect_of(path, lambda: text_lines(decoded(path, read.encoding)), read)
    shape = _of_table(path, "csv", read, read_csv(path, read))
    return replace(shape, encoding=_encoding(path, read), separator=dialect.separator, quote=dialect.quote)


def _of_json(path: Path, kind: str, read: ReadOptions) -> FileShape:
    """The shape of a JSON file; `kind` chooses the reader, which may find that it is of the other kind."""
    remarks: tuple[str, ...] = ()
    whole = json_object(path, read) if read.field is None else None
    if whole is not None and rows_field(whole) is None and (field := likely_field(whole)):
        read = read.model_copy(update={"field": field})
        remarks = (f"{path.name}: one JSON object; its rows are taken to be the objects under {shown(field)}",)
    rows = (read_jsonl if kind == "jsonl" else read_json)(path, read)
    shape = _of_table(path, rows.kind, read, rows.table)
    remarks = (*remarks, *shape.remarks)
    return replace(shape, encoding=_encoding(path, read), field=rows.field, remarks=remarks)


def _of_spreadsheet(path: Path, read: ReadOptions) -> FileShape:
    sheet = read_spreadsheet(path, read.sheet, takes_first=True)
    remarks: tuple[str, ...] = ()
    if sheet.others and read.sheet is None:
        told = f"{shown(sheet.name)} is read, and not {listed(sheet.others)}"
        remarks = (f"{path.name}: several sheets have cells; {told}",)
        read = read.model_copy(update={"sheet": sheet.name})
    shape = _of_table(path, "xlsx", read, sheet.table)
    sheets = (sheet.name, *sheet.others)
    return replace(shape, sheet=sheet.name, sheets=sheets, remarks=(*remarks, *shape.remarks))


def _of_table(path: Path, kind: str, read: ReadOptions, table: Table) -> FileShape:
    return FileShape(path, kind, table.columns, table.n_rows, read, table.remarks)


def _encoding(path: Path, read: ReadOptions) -> str:
    encoding = encoding_of(file_bytes(path, 2), read.encoding)
    return KNOWN if is_plain(encoding) else encoding


def _other_name(path: Path, shape: FileShape) -> tuple[str, ...]:
    by_name = FORMATS.get(path.suffix.lower())
    groups = (DELIMITED, JSON, ("parquet",), ("xlsx",))
    if by_name is None or any(by_name in group and shape.format in group for group in groups):
        return ()
    return (f"{path.name}: by its content this is {FORMAT_NAMES.get(shape.format, shape.format)}, and read as such",)
