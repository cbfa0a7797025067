import shutil
from pathlib import Path
from typing import Any

import pytest

from sft.config.dataset import DatasetConfig
from sft.data.loading import data_fingerprint, load_splits
from sft.exceptions import DataError


def config(path: str, **keys: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": path, "task_type": "classification", "shots": 1, **keys})


def saved(folder: Path, single: bool = False) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["pos", "neg"])}
    )
    data = {"text": ["a", "b", "c", "d"], "label": [1, 0, 0, 1]}
    train = datasets.Dataset.from_dict(data, features=features)
    if single:
        train.save_to_disk(str(folder))
    else:
        datasets.DatasetDict({"train": train, "test": train.select([3, 1])}).save_to_disk(str(folder))


def test_saved_dataset_folder(tmp_path: Path) -> None:
    saved(tmp_path / "d")
    splits = load_splits(config("d"), ["text"], "label", tmp_path, None)
    assert splits.train is not None
    assert [row.text("label") for row in splits.train.rows] == ["neg", "pos", "pos", "neg"]
    assert [row.text("text") for row in splits.test.rows] == ["d", "b"]
    assert splits.class_names == {"label": ("pos", "neg")}


@pytest.mark.slow
def test_saved_single_dataset_is_cut_by_shares(tmp_path: Path) -> None:
    saved(tmp_path / "d", single=True)
    splits = load_splits(config("d", splits={"test": 0.5}), ["text"], "label", tmp_path, None)
    assert len(splits.test.rows) == 2
    with pytest.raises(DataError, match='split "test" not found; splits are: train'):
        load_splits(config("d"), ["text"], "label", tmp_path, None)


@pytest.mark.slow
def test_saving_again_keeps_the_fingerprint(tmp_path: Path) -> None:
    saved(tmp_path / "one")
    saved(tmp_path / "two")
    first = data_fingerprint(config("one"), tmp_path, None)
    assert set(first) == {"train", "test"}
    assert first == data_fingerprint(config("two"), tmp_path, None)
    shutil.rmtree(tmp_path / "two" / "test")
    with pytest.raises(DataError, match="not a saved data set"):
        data_fingerprint(config("two"), tmp_path, None)
    with pytest.raises(DataError, match="saved data set"):
        load_splits(config("two"), ["text"], "label", tmp_path, None)


@pytest.mark.slow
def test_refused_and_unknown_args(tmp_path: Path) -> None:
    saved(tmp_path / "d")
    with pytest.raises(DataError, match=r"dataset.args.streaming is refused"):
        load_splits(config("d", args={"streaming": True}), ["text"], "label", tmp_path, None)
    with pytest.raises(DataError, match="cannot be loaded"):
        load_splits(config("d", args={"colour": "red"}), ["text"], "label", tmp_path, None)
