"""One data file to a table, by what is in it."""

from pathlib import Path

from sft.config.dataset import ReadOptions
from sft.data.files.arrow_tables import read_parquet
from sft.data.files.content import DELIMITED, JSON, format_of
from sft.data.files.delimited import read_csv
from sft.data.files.json_files import read_json, read_jsonl
from sft.data.files.spreadsheets import read_spreadsheet
from sft.data.tables import Table
from sft.exceptions import UserError

ONLY_FOR = (("field", JSON, "JSON"), ("sheet", ("xlsx",), "a spreadsheet"))
"""Options of `dataset.read` for some formats only, with these and what to call them."""


def read_file(path: Path, by_name: str | None, read: ReadOptions) -> Table:
    """The rows of a file, whatever its name says.

    Args:
        path: the file.
        by_name: the format that its name, or the config, says; None = none.
        read: what the user wrote of it.

    Raises:
        UserError: it cannot be read as it is, or `read` has an option that is of no use for it.
        MachineError: the file cannot be read, or the package for it is not installed.
    """
    kind = format_of(path, by_name, read)
    check_options(path, kind, read)
    if kind in DELIMITED:
        return read_csv(path, read)
    if kind in JSON:
        return (read_jsonl if kind == "jsonl" else read_json)(path, read).table
    return read_spreadsheet(path, read.sheet).table if kind == "xlsx" else read_parquet(path)


def check_options(path: Path, kind: str, read: ReadOptions) -> None:
    """Make sure that options for one kind of file are not written for another.

    Raises:
        UserError: `field` for a file that is no JSON, or `sheet` for one that is no spreadsheet.
    """
    for key, kinds, needed in ONLY_FOR:
        if getattr(read, key) is not None and kind not in kinds:
            raise UserError(f"dataset.read.{key}: {path.name} is {kind} and not {needed}; take {key} out", kind="data")


def of_use(path: Path, by_name: str | None, read: ReadOptions) -> ReadOptions:
    """The options that a file has a use for, of those that were written for another file."""
    kind = format_of(path, by_name, read)
    return read.model_copy(update={key: None for key, kinds, _ in ONLY_FOR if kind not in kinds})
