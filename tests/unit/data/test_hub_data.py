import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from sft.config.dataset import DatasetConfig
from sft.data.loading import data_fingerprint, hub_commit, load_splits
from sft.exceptions import DataError, MachineError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def config(path: str = "org/name", **keys: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"path": path, "task_type": "classification", "shots": 1, **keys})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A hub that answers, or raises, what a test puts into `answer`; its cache is an empty folder."""
    state = SimpleNamespace(answer=SimpleNamespace(sha=COMMIT), asked=[], cache=tmp_path / "cache")

    def dataset_info(self: Any, name: str, revision: str | None = None, timeout: float | None = None) -> Any:
        state.asked.append((name, revision))
        if isinstance(state.answer, Exception):
            raise state.answer
        return state.answer

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", dataset_info)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(state.cache))
    return state


def refusal(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    error.args = ("no",)
    return error


def test_commit_of_today(hub: SimpleNamespace) -> None:
    assert hub_commit(config()) == COMMIT
    assert hub_commit(config(args={"revision": "v2"})) == COMMIT
    assert hub_commit(config(args={"revision": "f" * 40})) == "f" * 40
    assert hub.asked == [("org/name", "main"), ("org/name", "v2")]


@pytest.mark.parametrize("kind", [errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.GatedRepoError])
def test_refusals_of_the_hub_are_the_users(hub: SimpleNamespace, kind: type[Exception]) -> None:
    hub.answer = refusal(kind)
    with pytest.raises(DataError, match="org/name"):
        hub_commit(config())


@pytest.mark.parametrize("error", [errors.OfflineModeIsEnabled("off"), ConnectionError("down"), errors.HTTPError("x")])
def test_unreachable_hub_falls_back_to_the_cache(hub: SimpleNamespace, error: Exception) -> None:
    hub.answer = error
    with pytest.raises(MachineError, match='dataset "org/name" not found locally') as caught:
        hub_commit(config())
    assert caught.value.kind == "network"
    folder = hub.cache / "datasets--org--name"
    for age, name in ((100, "new"), (200, "old")):
        (folder / "snapshots" / name).mkdir(parents=True)
        os.utime(folder / "snapshots" / name, (1e9 - age, 1e9 - age))
    assert hub_commit(config()) == "new"
    with pytest.raises(MachineError):
        hub_commit(config(args={"revision": "v2"}))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("old\n")
    assert hub_commit(config()) == "old"


def test_offline_is_said(hub: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "is_offline_mode", lambda: True)
    hub.answer = errors.OfflineModeIsEnabled("off")
    with pytest.raises(MachineError, match=r"the network is off \(HF_HUB_OFFLINE=1\)"):
        hub_commit(config())


def test_fingerprint_is_the_commit_and_the_split(hub: SimpleNamespace, tmp_path: Path) -> None:
    assert data_fingerprint(config(), tmp_path, None) == {"train": f"{COMMIT}/train", "test": f"{COMMIT}/test"}
    assert data_fingerprint(config(splits={"test": 0.3}), tmp_path, "pinned") == {"all": "pinned/train"}
    other = data_fingerprint(config(splits={"test": "validation"}), tmp_path, "pinned")
    assert other["test"] == "pinned/validation"
    (tmp_path / "test.csv").write_text("text,label\nx,a\n")
    mixed = data_fingerprint(config(splits={"test": "test.csv"}), tmp_path, "pinned")
    assert mixed["train"] == "pinned/train"
    assert len(mixed["test"]) == 64


@pytest.mark.slow
def test_load_passes_the_pinned_commit_and_args(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    calls: list[tuple[str, dict[str, Any]]] = []
    split = datasets.Dataset.from_dict({"text": ["a", "b"], "label": ["x", "y"]})

    def load_dataset(path: str, **arguments: Any) -> datasets.DatasetDict:
        calls.append((path, arguments))
        return datasets.DatasetDict({"train": split, "validation": split.select([1, 0])})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    dataset = config(args={"name": "sub", "revision": "main"}, splits={"test": "validation"})
    splits = load_splits(dataset, ["text"], "label", tmp_path, COMMIT)
    assert calls == [("org/name", {"revision": COMMIT, "name": "sub"})]
    assert [row.values for row in splits.test.rows] == [{"text": "b", "label": "y"}, {"text": "a", "label": "x"}]
    with pytest.raises(DataError, match='split "test" not found; splits are: train, validation'):
        load_splits(config(), ["text"], "label", tmp_path, COMMIT)
    with pytest.raises(DataError, match=r"dataset.args.split is refused"):
        load_splits(config(args={"split": "train"}), ["text"], "label", tmp_path, COMMIT)


def test_code_of_a_data_set_is_never_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"trust_remote_code is refused: code of a data set is never run"):
        load_splits(config(args={"trust_remote_code": True}), ["text"], "label", tmp_path, COMMIT)
    (tmp_path / "scripted").mkdir()
    (tmp_path / "scripted" / "scripted.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(DataError, match="scripted"):
        load_splits(config("scripted"), ["text"], "label", tmp_path, None)


@pytest.mark.slow
def test_errors_of_loading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    def fails_with(error: Exception) -> None:
        def load_dataset(path: str, **arguments: Any) -> None:
            raise error

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)

    fails_with(datasets.exceptions.DatasetNotFoundError("no"))
    with pytest.raises(DataError, match="neither a file or folder"):
        load_splits(config(), ["text"], "label", tmp_path, COMMIT)
    fails_with(ValueError("Config name is missing.\nPick one among [...]"))
    with pytest.raises(DataError, match=r"cannot be loaded: Config name is missing\.$"):
        load_splits(config(), ["text"], "label", tmp_path, COMMIT)
    fails_with(ConnectionError("Couldn't reach"))
    with pytest.raises(MachineError, match="Couldn't reach"):
        load_splits(config(), ["text"], "label", tmp_path, COMMIT)
