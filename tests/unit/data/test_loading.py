import json
from pathlib import Path
from typing import Any

import pytest

from sft.config.dataset import DatasetConfig
from sft.data.loading import data_fingerprint, load_splits, local_source
from sft.data.rows import Splits
from sft.exceptions import DataError, UserError


def config(path: str, **keys: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": path, "task_type": "classification", "shots": 1, **keys})


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows(prefix: str, n: int) -> list[dict[str, Any]]:
    return [{"text": f"{prefix} {i}", "label": "ab"[i % 2]} for i in range(n)]


def load(dataset: DatasetConfig, folder: Path, used: tuple[str, ...] = ("text",)) -> Splits:
    return load_splits(dataset, used, "label", folder, None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    lines(tmp_path / "data" / "train.jsonl", rows("train", 6))
    lines(tmp_path / "data" / "test.jsonl", rows("test", 4))
    return tmp_path


def test_folder_with_files_named_by_split(data: Path) -> None:
    splits = load(config("data"), data)
    assert splits.train is not None
    assert [row.text("text") for row in splits.train.rows] == [f"train {i}" for i in range(6)]
    assert [row.source_index for row in splits.test.rows] == [0, 1, 2, 3]
    assert splits.dev is None
    assert splits.test.columns == ("text", "label")


def test_formats_may_differ_and_other_files_are_ignored(data: Path) -> None:
    (data / "data" / "dev.csv").write_text("text;label\nx;a\n")
    (data / "data" / "README.md").write_text("about")
    splits = load(config("data", splits={"dev": "dev"}), data)
    assert splits.dev is not None
    assert splits.dev.rows[0].values == {"text": "x", "label": "a"}


def test_shards_are_read_in_order_and_must_be_complete(data: Path) -> None:
    (data / "data" / "train.jsonl").unlink()
    for part in (1, 0):
        lines(data / "data" / f"train-{part:05d}-of-00002.jsonl", rows(f"part {part}", 2))
    train = load(config("data"), data).train
    assert train is not None
    assert [row.text("text") for row in train.rows] == ["part 0 0", "part 0 1", "part 1 0", "part 1 1"]
    assert [row.source_index for row in train.rows] == [0, 1, 2, 3]
    (data / "data" / "train-00000-of-00002.jsonl").unlink()
    with pytest.raises(DataError, match='split "train" lacks parts: 00002 files are needed'):
        load(config("data"), data)


def test_two_files_of_one_split_are_refused(data: Path) -> None:
    (data / "data" / "train.csv").write_text("text,label\nx,a\n")
    with pytest.raises(DataError, match=r"several files \(train.csv, train.jsonl\)"):
        load(config("data"), data)


def test_splits_may_be_files_relative_to_the_config(data: Path) -> None:
    splits = load(config("data/train.jsonl", splits={"test": "data/test.jsonl"}), data)
    assert len(splits.test.rows) == 4
    with pytest.raises(UserError, match=r"no file .*none.csv"):
        load(config("data", splits={"test": "none.csv"}), data)


def test_missing_path_is_named(tmp_path: Path) -> None:
    for path in ("none.jsonl", "./none", "a/b/c"):
        with pytest.raises(UserError, match="no file or folder"):
            local_source(config(path), tmp_path)
    assert local_source(config("org/name"), tmp_path) is None
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"unknown format '.txt'"):
        load(config("a.txt"), tmp_path)


def test_missing_split_lists_those_there_are(data: Path) -> None:
    with pytest.raises(DataError, match=r'split "tst" not found; splits are: test, train$'):
        load(config("data", splits={"test": "tst"}), data)
    with pytest.raises(DataError) as caught:
        load(config("data/train.jsonl"), data)
    assert str(caught.value).startswith('split "test" not found; splits are: train')
    assert "splits: {test: 0.3}" in str(caught.value)


def test_train_split_is_needed_only_for_shots(data: Path) -> None:
    (data / "data" / "train.jsonl").unlink()
    assert load(config("data", shots=0), data).train is None
    with pytest.raises(DataError, match='split "train" not found'):
        load(config("data"), data)
    with pytest.raises(DataError, match='split "trn" not found'):
        load(config("data", shots=0, splits={"train": "trn"}), data)


def test_data_files_name_splits(data: Path) -> None:
    files = {"train": "data/train.jsonl", "test": "data/te*.jsonl"}
    splits = load(config("json", args={"data_files": files}), data)
    assert len(splits.test.rows) == 4
    with pytest.raises(UserError, match="no file"):
        load(config("json", args={"data_files": {"train": "data/none*.jsonl"}}), data)
    with pytest.raises(UserError, match="data_files"):
        load(config("csv"), data)


def test_other_args_of_local_files_point_to_read_and_splits(data: Path) -> None:
    for dataset in (
        config("data", args={"sep": ";"}),
        config("json", args={"data_files": "data/train.jsonl", "sep": ";"}),
    ):
        with pytest.raises(UserError, match=r"dataset.args: sep cannot .* dataset.read .* dataset.splits"):
            load(dataset, data)


def test_missing_column_lists_those_there_are(data: Path) -> None:
    lines(data / "data" / "train.jsonl", [{"text": "a", "y": "b"}])
    with pytest.raises(DataError, match=r'column "label" not found; columns are: text, y$'):
        load(config("data"), data)
    with pytest.raises(DataError, match='column "id" not found'):
        load(config("data", shots=0), data, ("text", "id"))


def test_test_rows_may_lack_the_gold(data: Path) -> None:
    lines(data / "data" / "test.jsonl", [{"text": "a"}])
    splits = load(config("data"), data)
    assert "label" not in splits.test.columns
    assert len(splits.test.rows) == 1


@pytest.mark.parametrize("hole", [{"text": "", "label": "a"}, {"text": None, "label": "a"}, {"text": "x"}])
def test_empty_used_cells_are_named_or_dropped(data: Path, hole: dict[str, Any]) -> None:
    lines(data / "data" / "test.jsonl", [*rows("test", 2), hole, *rows("more", 1)])
    column = "text" if not hole["text"] else "label"
    with pytest.raises(DataError, match=rf'split "test": .* rows 2 \({column}\).*on_missing: drop'):
        load(config("data", on_missing="error"), data)
    with pytest.raises(DataError, match=rf"^test.jsonl row 2 \(counted from 0\): .*'{column}'.*on_missing: drop$"):
        load(config("data"), data)
    kept = load(config("data", on_missing="drop"), data).test
    assert [row.source_index for row in kept.rows] == [0, 1, 3]
    assert kept.n_dropped == 1


def test_an_empty_input_beside_a_filled_one_is_empty_text(data: Path) -> None:
    lines(data / "data" / "test.jsonl", [{"text": "x", "label": "a", "note": None}, {"text": "", "label": "a"}])
    lines(data / "data" / "train.jsonl", [{"text": "x", "label": "a", "note": "n"}])
    with pytest.raises(DataError, match=r"^column 'note' is empty in every row of test.jsonl; name another column"):
        load(config("data", shots=0), data, ("text", "note"))
    lines(data / "data" / "test.jsonl", [{"text": "x", "label": "a"}, {"text": None, "label": "a", "note": "n"}])
    lines(data / "data" / "train.jsonl", [{"text": "x", "label": "a", "note": "n"}, {"text": "", "note": "n"}])
    with pytest.raises(DataError, match=r"^train.jsonl row 1 .*: no gold in 'label'"):
        load(config("data", shots=0), data, ("text", "note"))
    lines(data / "data" / "train.jsonl", [{"text": "x", "label": "a", "note": "n"}])
    test = load(config("data"), data, ("text", "note")).test
    assert [[row.input_text(column) for column in ("text", "note")] for row in test.rows] == [["x", ""], ["", "n"]]
    assert test.n_dropped == 0


def test_rows_of_several_files_are_named_by_their_own_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    files = {"train-00000-of-00002.jsonl": "ab", "train-00001-of-00002.jsonl": ["c", ""], "test.jsonl": "d"}
    for name, texts in files.items():
        lines(tmp_path / "data" / name, [{"text": text, "label": "a"} for text in texts])
    with pytest.raises(DataError, match=r"^train-00001-of-00002.jsonl row 1 .*: the input .'text'. is empty"):
        load(config("data"), tmp_path)


def test_unused_columns_may_be_empty(data: Path) -> None:
    lines(data / "data" / "test.jsonl", [{"text": "x", "label": "a", "note": None}])
    assert load(config("data"), data).test.rows[0].values["note"] is None


def test_all_rows_dropped_is_an_error(data: Path) -> None:
    lines(data / "data" / "test.jsonl", [{"text": "", "label": "a"}])
    with pytest.raises(DataError, match='split "test" has no rows without missing cells'):
        load(config("data", on_missing="drop"), data)


def test_values_are_compared_as_json_text(data: Path) -> None:
    lines(data / "data" / "test.jsonl", [{"text": 1, "label": value} for value in (True, 1, 0.5, 3.0, "01")])
    assert [row.text("label") for row in load(config("data"), data).test.rows] == ["true", "1", "0.5", "3", "01"]


def test_fingerprint_is_of_content_not_of_places(data: Path) -> None:
    before = data_fingerprint(config("data"), data, None)
    assert set(before) == {"train", "test"}
    (data / "data").rename(data / "moved")
    assert data_fingerprint(config("moved"), data, None) == before
    moved = config("moved/train.jsonl", splits={"test": "moved/test.jsonl"})
    assert data_fingerprint(moved, data, None) == before
    text = (data / "moved" / "test.jsonl").read_text()
    (data / "moved" / "test.jsonl").write_text(text.replace("test 3", "test 4"))
    after = data_fingerprint(config("moved"), data, None)
    assert after["train"] == before["train"]
    assert after["test"] != before["test"]


def test_fingerprint_of_shares_is_of_the_one_split(data: Path) -> None:
    whole = data_fingerprint(config("data/train.jsonl", splits={"test": 0.3}), data, None)
    assert set(whole) == {"all"}


@pytest.mark.parametrize("splits", [{}, {"test": 0.5}])
def test_defaults_that_are_written_out_change_nothing(tmp_path: Path, splits: dict[str, Any]) -> None:
    """A worker reads the resolved config, in which every default is written."""
    (tmp_path / "data").mkdir()
    lines(tmp_path / "data" / ("reviews.jsonl" if splits else "test.jsonl"), rows("row", 8))
    written = config("data", shots=0, splits=splits)
    resolved = DatasetConfig.model_validate(written.model_dump(mode="json"))
    assert load(resolved, tmp_path) == load(written, tmp_path)
    assert data_fingerprint(resolved, tmp_path, None) == data_fingerprint(written, tmp_path, None)


@pytest.mark.parametrize(
    ("name", "content", "hint"),
    [
        (
            "a.tsv",
            "text,label\na,x\n",
            "columns are: 'text,label'; .* separated by ',': write .*sep: ','}",
        ),
        ("a.json", '{"ok": 1, "r": {"items": [{"text": "a"}]}}', "columns are: ok, r; .* {field: 'r.items'}"),
        ("a.csv", "a,b\nx,y\n", "columns are: a, b$"),
    ],
)
def test_a_column_that_another_reading_would_find_is_told_with_it(
    tmp_path: Path, name: str, content: str, hint: str
) -> None:
    (tmp_path / name).write_text(content)
    dataset = DatasetConfig.model_validate({"path": name, "task_type": "classification", "splits": {"test": 0.5}})
    with pytest.raises(DataError, match=f'column "text" not found; {hint}'):
        load_splits(dataset, ["text"], "label", tmp_path, None)
