"""What a file is, whatever its name says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sft.config.dataset import ReadOptions
from sft.data.files.reading import read_file
from sft.data.files.shape import file_shape
from sft.data.folders import FORMATS
from sft.exceptions import DataError
from tests.support.workbooks import write_workbook

TABLE = [["text", "label"], ["é, a", "01"], ["b", "NA"]]
ROWS = [dict(zip(TABLE[0], row, strict=True)) for row in TABLE[1:]]


def csv_text(separator: str = ",") -> str:
    return "".join(separator.join(f'"{cell}"' if "," in cell else cell for cell in row) + "\r\n" for row in TABLE)


def lines(rows: list[dict[str, str]] = ROWS) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def excel_unicode_text() -> bytes:
    return csv_text("\t").encode("utf-16")


def parquet(folder: Path) -> bytes:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "made")
    return (folder / "made").read_bytes()


def workbook(folder: Path) -> bytes:
    return write_workbook(folder / "made", {"Tickets": TABLE}).read_bytes()


CSV = {"format": "csv", "encoding": "utf-8", "separator": ",", "quote": '"'}
JSON = {"format": "json", "encoding": "utf-8"}
JSONL = {"format": "jsonl", "encoding": "utf-8"}
SHAPES: list[tuple[str, str | bytes | Any, Mapping[str, Any]]] = [
    ("a.csv", csv_text(), CSV),
    ("a.csv", "\ufeff" + csv_text(), CSV),
    ("a.csv", csv_text(";"), CSV | {"separator": ";"}),
    ("a.csv", "sep=;\r\n" + csv_text(";"), CSV | {"separator": ";"}),
    ("a.csv", "\ufeffSEP=|\n" + csv_text("|"), CSV | {"separator": "|"}),
    ("a.csv", csv_text().encode("cp1252"), CSV | {"encoding": "cp1252", "read": {"encoding": "cp1252"}}),
    ("a.csv", excel_unicode_text(), CSV | {"encoding": "utf-16", "separator": "\t"}),
    ("a.txt", excel_unicode_text(), CSV | {"encoding": "utf-16", "separator": "\t"}),
    ("a.tsv", csv_text("\t").replace('"', ""), CSV | {"separator": "\t", "quote": ""}),
    ("a.json", csv_text(), CSV | {"other_name": True}),
    ("a.xlsx", csv_text(";"), CSV | {"separator": ";", "other_name": True}),
    ("a.json", json.dumps(ROWS, indent=1), JSON),
    ("a.json", lines(), JSONL),
    ("a.json", "\ufeff" + lines(), JSONL),
    ("a.json", json.dumps({"version": 1, "data": ROWS}), JSON | {"field": "data"}),
    ("a.json", json.dumps({"tickets": ROWS}), JSON | {"field": "tickets"}),
    ("a.json", json.dumps(ROWS).encode("utf-16"), JSON | {"encoding": "utf-16"}),
    ("a.jsonl", json.dumps(ROWS), JSON),
    ("a.jsonl", json.dumps({"data": ROWS}) + "\n", JSON | {"field": "data"}),
    ("a.csv", lines(), JSONL | {"other_name": True}),
    ("a.csv", json.dumps(ROWS, indent=1), JSON | {"other_name": True}),
    ("a", lines(), JSONL),
    ("a.csv", parquet, {"format": "parquet", "other_name": True}),
    ("a.parquet", csv_text(), CSV | {"other_name": True}),
    ("a.csv", workbook, {"format": "xlsx", "sheet": "Tickets", "sheets": ("Tickets",), "other_name": True}),
    ("a.xlsx", workbook, {"format": "xlsx", "sheet": "Tickets", "sheets": ("Tickets",)}),
]


@pytest.mark.parametrize(("name", "content", "expected"), SHAPES)
def test_the_rows_are_the_same_in_every_shape(
    tmp_path: Path, name: str, content: str | bytes | Any, expected: dict[str, Any]
) -> None:
    raw = content(tmp_path) if callable(content) else content
    path = tmp_path / name
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    shape = file_shape(path)
    table = read_file(path, FORMATS.get(path.suffix), shape.read)
    assert [dict(record) for record in table.records] == ROWS
    assert (shape.columns, shape.n_rows) == (("text", "label"), 2)
    found = {key: getattr(shape, key) for key in ("format", "encoding", "separator", "quote", "field", "sheet")}
    known = {"read": {}, "sheets": (), "other_name": False, **dict.fromkeys(found)}
    written = shape.read.model_dump(exclude_defaults=True)
    others = {"read": written, "sheets": shape.sheets, "other_name": bool(shape.remarks)}
    assert found | others == known | expected


def test_what_is_written_is_not_found_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": {"b.c": ROWS, "b": [{"x": 1}]}, "data": [{"y": 1}, {"y": 2}]}))
    assert file_shape(path, ReadOptions(field="a.b.c")).columns == ("text", "label")
    assert file_shape(path, ReadOptions(field="a.b")).columns == ("x",)
    assert file_shape(path).field == "data"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("a.x", "a.json has no 'x' for 'a.x'; keys there: b"),
        ("x", "a.json has no 'x' for 'x'; keys there: a"),
        ("a", "a.json holds an object under 'a', and not a list of objects"),
        ("a.b.c", "a.json holds text where 'a.b.c' asks for an object with 'c'"),
    ],
)
def test_a_field_that_is_not_there_is_told(tmp_path: Path, field: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": {"b": "x"}}))
    with pytest.raises(DataError) as caught:
        file_shape(path, ReadOptions(field=field))
    assert message in str(caught.value)


def test_a_field_of_rows_that_lie_in_no_object_is_refused(tmp_path: Path) -> None:
    for content, message in ((lines(), "one JSON object per line"), (json.dumps(ROWS), "holds a list where 'data'")):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(DataError, match=message + ".*take field out"):
            file_shape(tmp_path / "a.json", ReadOptions(field="data"))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"response": {"items": ROWS}, "ok": True}, "response.items"),
        ({"few": ROWS[:1], "train": ROWS}, "train"),
        ({"text": "é, a", "label": "01", "spans": [{"start": 1}]}, None),
        ({"messages": [{"role": "user"}, {"role": "assistant"}]}, None),
    ],
)
def test_the_likely_place_of_rows_is_written(tmp_path: Path, value: dict[str, Any], field: str | None) -> None:
    for name in ("a.json", "a.jsonl"):
        (tmp_path / name).write_text(json.dumps(value) + "\n")
        shape = file_shape(tmp_path / name)
        assert (shape.field, shape.read.field, shape.n_rows, len(shape.remarks)) == (
            (field, field, 2, 1) if field else (None, None, 1, 0)
        )


def test_one_conversation_is_a_row_and_no_file_of_rows(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    assert file_shape(tmp_path / "a.jsonl").columns == ("messages",)


def test_a_header_that_looks_like_json_is_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("[text],{label}\na,b\n")
    assert file_shape(tmp_path / "a.csv").columns == ("[text]", "{label}")


def test_of_several_sheets_the_first_is_taken_and_written(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "a.xlsx", {"about": [], "one": TABLE, "two": [["x"], ["y"]]})
    shape = file_shape(path)
    assert (shape.sheet, shape.sheets, shape.read.sheet) == ("one", ("one", "two"), "one")
    assert shape.remarks == ("a.xlsx: several sheets have cells; one is read, and not two",)


def test_an_archive_is_no_table(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.csv", "w") as archive:
        archive.writestr("b.csv", csv_text())
    with pytest.raises(DataError, match=r"a.csv: this is a zip archive; unpack it"):
        file_shape(tmp_path / "a.csv")
