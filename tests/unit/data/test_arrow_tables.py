import datetime
import decimal
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from sft.config.dataset import DatasetConfig
from sft.data.arrow_tables import from_arrow, read_parquet
from sft.data.loading import load_splits
from sft.errors import DataError


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
