"""Which files of a folder are which split, as the hub lays them out."""

from pathlib import Path

import pytest

from sft.config.dataset import DatasetConfig
from sft.data.folders import folder_splits
from sft.data.loading import data_names
from sft.data.sources import local_splits
from sft.exceptions import DataError, UserError

CARD = """---
configs:
- config_name: en
  data_files:
  - split: train
    path: {first}
  - split: test
    path: ["data/en-test.parquet"]
- config_name: de
  {default}
  data_files: data/de-*
- config_name: plain
  data_dir: data
license: mit
---
About.
"""


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path, config: str | None = None) -> dict[str, list[str]]:
    splits = folder_splits(folder, config)
    return {name: [path.relative_to(folder).as_posix() for path in split.files] for name, split in splits.items()}


def test_shards_with_the_hash_of_older_uploads(tmp_path: Path) -> None:
    train = [f"data/train-0000{part}-of-00002-{hash_}.parquet" for part, hash_ in enumerate(("ffa1", "00b2"))]
    touch(tmp_path, *reversed(train), "data/test-00000-of-00001.parquet", "README.md", "dataset_infos.json")
    assert names(tmp_path) == {"train": train, "test": ["data/test-00000-of-00001.parquet"]}
    (tmp_path / train[1]).unlink()
    with pytest.raises(DataError, match='split "train" lacks parts: 00002'):
        names(tmp_path)
    touch(tmp_path, "data/train-00001-of-00002-aaaa.parquet", "data/train-00001-of-00002-bbbb.parquet")
    with pytest.raises(DataError, match='split "train" has files of several versions: 00002'):
        names(tmp_path)


def test_a_folder_for_each_configuration(tmp_path: Path) -> None:
    touch(tmp_path, "en/train.csv", "en/test.csv", ".cache/x.csv")
    assert names(tmp_path) == {"train": ["en/train.csv"], "test": ["en/test.csv"]}
    touch(tmp_path, "de/data/train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"several configurations \(de, en\); choose with dataset.args: {name: ...}"):
        names(tmp_path)
    assert set(names(tmp_path, "en")) == {"train", "test"}
    assert names(tmp_path, "de") == {"train": ["de/data/train-00000-of-00001.parquet"]}
    with pytest.raises(DataError, match=r"no configuration 'fr'; there are: de, en"):
        names(tmp_path, "fr")


def test_a_folder_for_each_split(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.jsonl", "train/b.jsonl", "validation/x.csv", "test/a.jsonl")
    assert names(tmp_path) == {
        "train": ["train/a.jsonl", "train/b.jsonl"],
        "validation": ["validation/x.csv"],
        "test": ["test/a.jsonl"],
    }


def test_the_head_of_the_readme_says_which_files(tmp_path: Path) -> None:
    touch(tmp_path, "data/en-train-a.parquet", "data/en-train-b.parquet", "data/en-test.parquet", "data/de-x.csv")
    (tmp_path / "README.md").write_text(CARD.format(first="data/en-train-*", default="default: true"))
    english = {"train": ["data/en-train-a.parquet", "data/en-train-b.parquet"], "test": ["data/en-test.parquet"]}
    assert names(tmp_path, "en") == english
    assert names(tmp_path) == names(tmp_path, "de") == {"train": ["data/de-x.csv"]}
    assert set(names(tmp_path, "plain")) == {"en-train-a", "en-train-b", "en-test", "de-x"}
    (tmp_path / "README.md").write_text(CARD.format(first="data/en-train-*", default="description: x"))
    with pytest.raises(DataError, match=r"several configurations \(de, en, plain\)"):
        names(tmp_path)


@pytest.mark.parametrize(
    ("first", "message"),
    [("../x.csv", "leads out of the folder"), ("none*", "no data file for 'none*'"), ("[", "cannot be read")],
)
def test_a_readme_that_does_not_fit_the_folder_is_told(tmp_path: Path, first: str, message: str) -> None:
    touch(tmp_path, "data/en-test.parquet")
    (tmp_path / "README.md").write_text(CARD.format(first=first, default="default: true"))
    with pytest.raises(DataError) as caught:
        names(tmp_path, "en")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("files", ["[{path: a.csv}]", "3", "[4, {split: x}]", "{train: 5}"])
def test_data_files_of_another_shape_are_told(tmp_path: Path, files: str) -> None:
    touch(tmp_path, "a.csv")
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: en\n  data_files: {files}\n---\n")
    with pytest.raises(DataError, match=r"README.md: its `configs` cannot be read"):
        names(tmp_path)


def test_a_name_chooses_in_folders_only(tmp_path: Path) -> None:
    touch(tmp_path, "d/en/train.csv", "d/de/train.csv", "a.csv")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "dataset_dict.json").write_text("[1")

    def splits(path: str) -> set[str]:
        dataset = {"path": path, "args": {"name": "en"}, "task_type": "classification", "shots": 0}
        return set(local_splits(DatasetConfig.model_validate(dataset), tmp_path))

    assert splits("d") == {"train"}
    with pytest.raises(UserError, match=r"dataset.args: name cannot be given"):
        splits("a.csv")
    with pytest.raises(DataError, match="not what save_to_disk writes"):
        splits("saved")


def test_folders_of_splits_lie_deep_beside_others_and_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "d/data/Train/2023/a.csv", "d/data/Train/2024/b.csv", "d/data/TEST/a.json", "d/data/holdout/x.csv")
    touch(tmp_path, "d/data/.git/x.csv", "d/data/images/x.png")
    assert names(tmp_path / "d") == {
        "Train": ["data/Train/2023/a.csv", "data/Train/2024/b.csv"],
        "TEST": ["data/TEST/a.json"],
        "holdout": ["data/holdout/x.csv"],
    }


def test_spreadsheets_of_a_folder_count_where_there_is_no_other_data(tmp_path: Path) -> None:
    touch(tmp_path, "train.xlsx", "test.xlsx", "~$test.xlsx", ".~lock.test.xlsx")
    assert names(tmp_path) == {"test": ["test.xlsx"], "train": ["train.xlsx"]}
    touch(tmp_path, "train.csv", "test.csv")
    assert names(tmp_path) == {"test": ["test.csv"], "train": ["train.csv"]}


def splits_of(folder: Path, shots: int = 1, **written: object) -> dict[str, str]:
    dataset = DatasetConfig.model_validate(
        {"path": "d", "task_type": "classification", "shots": shots, "splits": written, "args": {}}
    )
    return data_names(dataset, folder)


def test_names_of_one_split_mean_each_other(tmp_path: Path) -> None:
    touch(tmp_path, "d/Training/a.csv", "d/validation/b.csv", "d/evaluation/c.csv")
    assert splits_of(tmp_path, dev="dev") == {"train": "a.csv", "dev": "b.csv", "test": "c.csv"}
    assert splits_of(tmp_path, dev="val", test="Validation")["test"] == "b.csv"
    touch(tmp_path, "d/test/d.csv")
    assert splits_of(tmp_path) == splits_of(tmp_path, shots=0) == {"train": "a.csv", "test": "d.csv"}
    with pytest.raises(DataError, match=r'split "eval" not found; splits are: Training, evaluation, test, validation'):
        splits_of(tmp_path, test="eval")


def test_a_file_without_known_ending_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("text\tlabel\na\tx\n")
    (tmp_path / "b.txt").write_text('{"text": "a"}\n')
    (tmp_path / "c.txt").write_text("only words\n")
    assert splits_of(tmp_path, test="b.txt") == {"train": "d", "test": "b.txt"}
    with pytest.raises(UserError, match=r"c.txt: unknown format '.txt'; known: .csv, .*\.xlsx"):
        splits_of(tmp_path, test="c.txt")
