"""A file that corrects the gold of evaluated rows: which row of which split, and what its gold is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.config.canonical import json_text
from sft.config.dataset import ReadOptions
from sft.data.files.reading import read_file
from sft.data.folders import FORMATS
from sft.data.tables import Records
from sft.exceptions import DataError
from sft.wording import listed, quoted

SPLITS = ("test", "dev")
_NEEDED = ("source_index", "gold")


@dataclass(frozen=True)
class Correction:
    """One row of the file.

    Attributes:
        row: which of its rows, from 1, as a person counts below the header.
        split: `test` or `dev`; None where the file does not say.
        source_index: position in the split as it was read, from 0.
        gold: what the row's gold is, as text.
    """

    row: int
    split: str | None
    source_index: int
    gold: str


def read_corrections(path: Path) -> list[Correction]:
    """The corrections of a data file; columns beside `source_index`, `gold` and `split` are for people.

    Raises:
        DataError: there is no such file, a column is missing, or a cell is not what it must be.
    """
    by_name = FORMATS.get(path.suffix.lower())
    if not path.is_file() or by_name is None:
        what = f"must be a {', '.join(FORMATS)} file" if path.is_file() else "no such file"
        raise DataError(f"{path}: {what}")
    table = read_file(path, by_name, ReadOptions())
    missing = [column for column in _NEEDED if not table.has(column)]
    if missing:
        raise DataError(
            f"{path.name}: needs the columns source_index and gold (and split, where there are dev rows); "
            f"columns are: {listed(table.columns)}"
        )
    return [_correction(record, number, path.name) for number, record in enumerate(Records(table), 1)]


def _correction(record: Mapping[str, Any], row: int, name: str) -> Correction:
    gold, split = record["gold"], record.get("split")
    if gold in (None, ""):
        raise DataError(f"{name}, row {row}: `gold` is empty; leave the row out, or write what it is")
    if split not in (None, "", *SPLITS):
        raise DataError(f"{name}, row {row}: split {quoted(json_text(split))}: must be test or dev")
    return Correction(row, split or None, _index(record["source_index"], row, name), json_text(gold))


def _index(cell: Any, row: int, name: str) -> int:
    """A position, which spreadsheets may write as `17.0`."""
    text = "" if cell is None else json_text(cell).strip().removesuffix(".0")
    if not (text.isascii() and text.isdigit()):
        raise DataError(
            f"{name}, row {row}: source_index {quoted(text)}: must be the number of a row, from 0, as "
            "predictions.jsonl and `sft errors` have it"
        )
    return int(text)
