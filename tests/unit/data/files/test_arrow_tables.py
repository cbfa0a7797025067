import datetime
import decimal
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from sft.config.dataset import DatasetConfig
from sft.data.files.arrow_tables import from_arrow, read_parquet
from sft.data.loading import load_splits
from sft.exceptions import DataError


def test_parquet_values_are_json_values(tmp_path: Path) -> None:
    table = pyarrow.table(
        {
            "text": ["a", None],
            "flag": [True, False],
            "number": [1.5, float("nan")],
            "day": [datetime.date(2026, 1, 2), None],
            "price": [decimal.Decimal("1.20"), None],
            "parts": [[1.0, float("nan")], []],
            "image": [{"bytes": b"x", "path": "x.png"}, None],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    read = read_parquet(tmp_path / "a.parquet")
    assert read.columns == ("text", "flag", "number", "day", "price", "parts")
    first = {"text": "a", "flag": True, "number": 1.5, "day": "2026-01-02", "price": "1.20", "parts": [1.0, None]}
    assert dict(read.records[0]) == first
    assert read.records[1]["number"] is None
    json.dumps([dict(record) for record in read.records], allow_nan=False)


def test_class_numbers_become_names_and_unknown_is_missing(tmp_path: Path) -> None:
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}
    table = pyarrow.table({"text": ["a", "b", "c", "d"], "label": [1, 0, -1, None]})
    described = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pyarrow.parquet.write_table(described, tmp_path / "a.parquet")
    read = read_parquet(tmp_path / "a.parquet")
    assert [record["label"] for record in read.records] == ["pos", "neg", None, None]
    assert read.class_names == {"label": ("neg", "pos")}
    assert from_arrow(table, {}).records[0]["label"] == 1


def test_broken_parquet_is_named(tmp_path: Path) -> None:
    for content in (b"", b"PAR1 not really", b"PAR1" + b"\0" * 20 + b"PAR1"):
        (tmp_path / "train.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"train.parquet: not valid parquet"):
            read_parquet(tmp_path / "train.parquet")


def test_folder_of_parquet_shards(tmp_path: Path) -> None:
    (tmp_path / "d" / "data").mkdir(parents=True)
    for part in range(2):
        table = pyarrow.table({"text": [f"{part} {i}" for i in range(3)], "label": [0, 1, 2]})
        pyarrow.parquet.write_table(table, tmp_path / "d" / "data" / f"train-{part:05d}-of-00002.parquet")
    pyarrow.parquet.write_table(table, tmp_path / "d" / "data" / "test-00000-of-00001.parquet")
    dataset = DatasetConfig.model_validate({"path": "d", "task_type": "classification", "shots": 1})
    splits = load_splits(dataset, ["text"], "label", tmp_path, None)
    assert splits.train is not None
    assert [row.text("label") for row in splits.train.rows] == ["0", "1", "2"] * 2
    assert len(splits.test.rows) == 3


BAD_UTF8 = pyarrow.Array.from_buffers(
    pyarrow.string(),
    2,
    [None, pyarrow.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])), pyarrow.py_buffer(b"\xff\xfe")],
)
TWO = pyarrow.array(["x", "y"])


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (BAD_UTF8, "what cannot be read ("),
        (pyarrow.ListArray.from_arrays(pyarrow.array([0, 1, 2], pyarrow.int32()), BAD_UTF8), "what cannot be read ("),
        (pyarrow.array([2**62, 1], pyarrow.timestamp("us")), "what cannot be read (date value out of range)"),
        (pyarrow.array([2**31 - 1, 0], pyarrow.date32()), "what cannot be read (days="),
        (pyarrow.array([1, 2], pyarrow.timestamp("us", "Nowhere/Town")), "what cannot be read ("),
        (pyarrow.StructArray.from_arrays([TWO, TWO], names=["a", "a"]), "what cannot be read ("),
        (pyarrow.array([b"x", b"y"], pyarrow.large_binary()), "binary data such as images"),
    ],
)
def test_a_column_that_python_cannot_hold_is_told_only_where_it_is_used(
    tmp_path: Path, column: pyarrow.Array, told: str
) -> None:
    table = pyarrow.Table.from_arrays([column, TWO, TWO], names=["odd", "text", "label"])
    read = from_arrow(table, {})
    assert read.columns == ("text", "label")
    assert len(read.remarks) == (0 if told.startswith("binary") else 1)
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    parquet = {
        "path": "a.parquet",
        "task_type": "classification",
        "shots": 0,
        "splits": {"test": 0.5, "stratify": False},
    }
    dataset = DatasetConfig.model_validate(parquet)
    assert len(load_splits(dataset, ["text"], "label", tmp_path, None).test.rows) == 1
    with pytest.raises(DataError) as caught:
        load_splits(dataset, ["odd"], "label", tmp_path, None)
    assert f"column 'odd' holds {told}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pyarrow.Table.from_arrays([TWO, TWO], names=["text", "text"]), "there are columns twice: 'text'"),
        (pyarrow.table({}), "there are no columns"),
    ],
)
def test_tables_without_columns_and_with_two_of_one_name_are_refused(
    tmp_path: Path, table: pyarrow.Table, told: str
) -> None:
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=f"a.parquet: {told}"):
        read_parquet(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "features", ["[]", '{"label": {"_type": "ClassLabel"}}', '{"label": {"_type": "ClassLabel", "names": [1]}}']
)
@pytest.mark.parametrize("cells", [[0, 1], ["a", "b"], [0.0, 1.0], [[0], [1]]])
def test_descriptions_of_another_program_change_no_cell(tmp_path: Path, features: str, cells: list[object]) -> None:
    described = pyarrow.table({"label": cells}).replace_schema_metadata(
        {"huggingface": f'{{"info": {{"features": {features}}}}}'}
    )
    pyarrow.parquet.write_table(described, tmp_path / "a.parquet")
    assert [record["label"] for record in read_parquet(tmp_path / "a.parquet").records] == cells


def test_declared_names_of_a_column_that_holds_the_names_are_its_cells(tmp_path: Path) -> None:
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    described = pyarrow.table({"label": ["pos", "neg"]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pyarrow.parquet.write_table(described, tmp_path / "a.parquet")
    read = read_parquet(tmp_path / "a.parquet")
    assert ([record["label"] for record in read.records], read.class_names) == (
        ["pos", "neg"],
        {"label": ("neg", "pos")},
    )
