"""A row keeps the type of each cell, whatever format it comes from; text is made where a prompt shows it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from sft.config.dataset import DatasetConfig
from sft.data.files.arrow_tables import from_arrow
from sft.data.joined_tables import merged
from sft.data.loading import load_splits
from sft.data.rows import Row
from sft.data.tables import Table
from sft.evaluation.predictions import kept_columns, prediction_record
from sft.exceptions import DataError

CELLS: dict[str, Any] = {
    "text": "01",
    "whole": 3,
    "number": 0.5,
    "flag": True,
    "list": ["a", "b"],
    "numbers": [1.0, 2.5],
    "record": {"de": "gut", "n": 1},
    "none": None,
}
SHOWN = {
    "text": "01",
    "whole": "3",
    "number": "0.5",
    "flag": "true",
    "list": '["a","b"]',
    "numbers": "[1,2.5]",
    "record": '{"de":"gut","n":1}',
    "none": "null",
}
PNG = b"\x89PNG\xff\x00"
BYTES: dict[str, Any] = {"image": PNG, "described": {"bytes": PNG, "path": "a.png"}, "images": [PNG, b""]}


def two(cells: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows with these cells that differ by their output, as a cut keeps equal ones together."""
    return [{**cells, "output": output} for output in "ab"]


def _json(path: Path) -> None:
    path.write_text(json.dumps(two(CELLS)))


def _jsonl(path: Path) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in two(CELLS)))


def _parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(two(CELLS | BYTES)), path)


def _saved(path: Path) -> None:
    import datasets

    first, second = two(CELLS | BYTES)
    rows = {name: [cell, second[name]] for name, cell in first.items()}
    datasets.DatasetDict({"test": datasets.Dataset.from_dict(rows)}).save_to_disk(str(path))


WRITERS: dict[str, Callable[[Path], None]] = {
    "rows.json": _json,
    "rows.jsonl": _jsonl,
    "rows.parquet": _parquet,
    "rows": _saved,
}


def first_row(folder: Path, name: str) -> Row:
    dataset = {"path": name, "task_type": "generation", "shots": 0}
    config = DatasetConfig.model_validate(dataset | ({} if "." in name else {"splits": {"test": "test"}}))
    if "." in name:
        config = DatasetConfig.model_validate(dataset | {"splits": {"test": 0.5, "stratify": False}})
    return load_splits(config, [], "output", folder, None).test.rows[0]


@pytest.mark.parametrize("column", CELLS)
@pytest.mark.parametrize("name", WRITERS)
def test_a_cell_has_its_own_type_and_its_text_where_it_is_shown(tmp_path: Path, name: str, column: str) -> None:
    WRITERS[name](tmp_path / name)
    row = first_row(tmp_path, name)
    cell = row.values[column]
    assert (cell, type(cell)) == (CELLS[column], type(CELLS[column]))
    assert row.text(column) == SHOWN[column]


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_cells_of_text_files_are_text_whatever_they_look_like(tmp_path: Path, form: str) -> None:
    cells = ["01", "0.5", "true", "[1]", "null", "NA"]
    between = "," if form == "csv" else "\t"
    lines = [between.join([*"abcdef", "output"]), *(between.join([*cells, output]) for output in "xy")]
    (tmp_path / f"rows.{form}").write_text("\n".join(lines) + "\n")
    row = first_row(tmp_path, f"rows.{form}")
    assert list(row.values.values())[:-1] == cells
    assert [row.text(column) for column in row.values][:-1] == cells


@pytest.mark.parametrize("column", BYTES)
@pytest.mark.parametrize("name", ["rows.parquet", "rows"])
def test_bytes_are_given_by_name_and_are_in_no_prediction(tmp_path: Path, name: str, column: str) -> None:
    WRITERS[name](tmp_path / name)
    row = first_row(tmp_path, name)
    assert row.values[column] == BYTES[column]
    assert column not in row.values
    assert list(row.values) == [*CELLS, "output"]
    for keep in (None, [column, "text"]):
        assert column not in prediction_record(kept_columns(row.values, keep, "text"), _prediction())


def _prediction() -> Any:
    from sft.evaluation.predictions import Prediction

    return Prediction(text="01", index=0, source_index=0)


def table_of(**columns: Any) -> Table:
    return from_arrow(pyarrow.table(columns), {})


def test_bytes_missing_in_a_row_or_in_a_file_are_none() -> None:
    joined = merged([table_of(image=[PNG, None], text=["a", "b"]), table_of(text=["c"])])
    assert joined.columns == ("text",)
    assert joined.holds_bytes("image")
    assert not joined.holds_bytes("text")
    assert [record["image"] for record in joined.records] == [PNG, None, None]
    assert joined.column("image").missing() == [1, 2]
    with pytest.raises(KeyError):
        joined.records[0]["other"]


def test_a_column_with_text_in_one_file_has_the_bytes_of_no_other() -> None:
    joined = merged([table_of(image=[PNG]), table_of(image=["a.png"])])
    assert not joined.holds_bytes("image")
    assert [record["image"] for record in joined.records] == [None, "a.png"]


def test_damaged_bytes_are_told_when_they_are_asked_for() -> None:
    offsets = pyarrow.py_buffer(bytes([0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0]))
    damaged = pyarrow.Array.from_buffers(pyarrow.binary(), 2, [None, offsets, pyarrow.py_buffer(b"ab")])
    read = table_of(image=damaged, text=["a", "b"])
    assert read.columns == ("text",)
    assert read.remarks == ()
    with pytest.raises(DataError, match="column 'image' holds what cannot be read"):
        read.records[0]["image"]
