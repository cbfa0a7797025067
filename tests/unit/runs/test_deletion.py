"""What is taken out of a results folder, and what never is."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sft.runs.deletion import delete, files_below, is_within, set_aside, size_on_disk
from sft.runs.files import ResultsFolder


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    (tmp_path / "results" / "stages" / "train").mkdir(parents=True)
    (tmp_path / "results" / "file").write_text("abc")
    return ResultsFolder(tmp_path / "results")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A folder outside, with a file that must never go."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text("alive")
    return tmp_path / "outside"


def test_files_folders_and_links_go_and_what_is_not_there_is_fine(results: ResultsFolder, canary: Path) -> None:
    link = results.path / "stages" / "link"
    link.symlink_to(canary)
    for path in (results.path / "file", link, results.path / "stages", results.path / "stages"):
        delete(results, path)
    assert list(results.path.iterdir()) == []
    assert (canary / "canary").read_text() == "alive"


@pytest.mark.parametrize("path", ["", ".", "..", "../outside", "stages/../../outside", "/tmp"])
def test_nothing_outside_goes(results: ResultsFolder, canary: Path, path: str) -> None:
    with pytest.raises(ValueError, match="is not in"):
        delete(results, results.path / path)
    with pytest.raises(ValueError, match="is not in"):
        set_aside(results, results.path / path)
    assert (canary / "canary").exists()


def test_nothing_below_a_linked_folder_goes(results: ResultsFolder, canary: Path) -> None:
    (results.path / "stages" / "train" / "linked").symlink_to(canary)
    path = results.path / "stages" / "train" / "linked" / "canary"
    assert not is_within(results, path)
    with pytest.raises(ValueError, match="is not in"):
        delete(results, path)
    assert (canary / "canary").exists()


def test_links_inside_a_folder_are_not_followed(results: ResultsFolder, canary: Path) -> None:
    folder = results.path / "stages" / "train"
    (folder / "one").write_text("12345")
    (folder / "linked").symlink_to(canary)
    (folder / "linked-file").symlink_to(canary / "canary")
    assert size_on_disk(results.path / "stages") == 5
    assert {path.name for path in files_below(results.path / "stages")} == {"one", "linked", "linked-file"}
    assert [path.name for path in files_below(results.path, prefix="linked-")] == ["linked-file"]
    assert list(files_below(results.path / "nowhere")) == []
    delete(results, results.path / "stages")
    assert (canary / "canary").exists()


def test_what_nobody_may_look_at_is_a_file(results: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems list names alone; of each it is asked then what it is."""

    def refused(**_: Any) -> bool:
        raise PermissionError(errno.EACCES, "denied")

    @contextmanager
    def names(folder: str) -> Iterator[list[Any]]:
        yield [SimpleNamespace(name=name, path=os.path.join(folder, name), is_dir=refused) for name in listed(folder)]

    listed = os.listdir
    monkeypatch.setattr(os, "scandir", names)
    assert {path.name for path in files_below(results.path)} == {"file", "stages"}


def test_what_is_set_aside_keeps_its_content_under_a_new_name(results: ResultsFolder) -> None:
    first = set_aside(results, results.path / "file")
    (results.path / "file").write_text("another")
    second = set_aside(results, results.path / "file")
    assert (first.read_text(), second.read_text()) == ("abc", "another")
    assert {first.parent, second.parent} == {results.trash}
    assert set_aside(results, results.path / "stages" / "train").name == "stages-train-1"


def test_a_trash_that_is_a_link_is_replaced(results: ResultsFolder, canary: Path) -> None:
    results.experiments.mkdir()
    results.trash.symlink_to(canary)
    moved = set_aside(results, results.path / "file")
    assert moved.read_text() == "abc"
    assert [path.name for path in canary.iterdir()] == ["canary"]


def test_where_the_trash_lies_behind_a_link_things_stay_beside(results: ResultsFolder, canary: Path) -> None:
    results.experiments.symlink_to(canary)
    assert set_aside(results, results.path / "file") == results.path / ".file-1"
    (results.path / "file").write_text("another")
    assert set_aside(results, results.path / "file") == results.path / ".file-2"


def test_where_the_trash_lies_on_another_disk_things_stay_beside(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def on_two_disks(path: Path, target: Path) -> Path:
        if target.parent != path.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", on_two_disks)
    assert set_aside(results, results.path / "stages" / "train").name == ".train-1"


@pytest.mark.parametrize(("path", "size"), [("file", 3), ("nowhere", 0), ("stages", 0)])
def test_sizes(results: ResultsFolder, path: str, size: int) -> None:
    assert size_on_disk(results.path / path) == size
