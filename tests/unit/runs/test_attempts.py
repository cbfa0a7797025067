"""The tries of a job: which is in force, and what the next one takes over."""

from pathlib import Path

import pytest

from sft.exceptions import MachineError
from sft.runs.atomic import write_json
from sft.runs.attempts import begin_attempt, take_over
from sft.runs.fence import require_in_place, working_for
from sft.runs.files import AttemptFolder, JobFolder


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "job")


def leave(folder: JobFolder, text: str, attempt: AttemptFolder | None = None) -> None:
    """Have a checkpoint where a try, or an earlier version, left it."""
    place = folder.checkpoints if attempt is None else folder.growing_in(attempt).checkpoints
    place.mkdir(parents=True)
    (place / "step").write_text(text)


def taken(folder: JobFolder, attempt: AttemptFolder) -> str | None:
    take_over(folder, attempt)
    place = folder.growing_in(attempt).checkpoints / "step"
    return place.read_text() if place.exists() else None


def test_the_next_try_is_in_force(folder: JobFolder) -> None:
    assert [begin_attempt(folder).path.name for _ in range(2)] == ["01", "02"]
    assert folder.in_force.read_text() == "02\n"


def test_the_newest_checkpoints_go_on_and_what_else_grew_is_gone(folder: JobFolder) -> None:
    first, second = begin_attempt(folder), begin_attempt(folder)
    leave(folder, "oldest")
    leave(folder, "old", first)
    leave(folder, "new", second)
    (second.out / "training.json").write_text("half")
    third = begin_attempt(folder)
    assert taken(folder, third) == "new"
    assert [attempt.out.exists() for attempt in (first, second, third)] == [False, False, True]
    assert not (third.out / "training.json").exists()
    assert taken(folder, third) == "new"


def test_checkpoints_of_an_earlier_version_are_taken_over_and_links_are_not(folder: JobFolder, tmp_path: Path) -> None:
    first = begin_attempt(folder)
    outside = tmp_path / "outside"
    (outside / "checkpoints").mkdir(parents=True)
    first.out.symlink_to(outside)
    leave(folder, "before")
    second = begin_attempt(folder)
    assert taken(folder, second) == "before"
    assert (outside / "checkpoints").is_dir()
    assert not first.out.is_symlink()
    assert taken(folder, begin_attempt(folder)) == "before"


def test_a_try_that_is_not_in_force_writes_in_its_own_folder_only(folder: JobFolder) -> None:
    first = begin_attempt(folder)
    with working_for(first.path, folder.in_force):
        write_json(folder.progress, 1)
        begin_attempt(JobFolder(folder.path.with_name("other")))
        second = folder.attempt(2)
        second.path.mkdir()
        folder.in_force.write_text("02\n")
        for path in (folder.progress, folder.manifest, second.error):
            with pytest.raises(MachineError, match="try 02 is in force there, and this is try 01"):
                write_json(path, 2)
        write_json(first.error, 3)
        folder.in_force.unlink()
        with pytest.raises(MachineError, match="try none is in force"):
            require_in_place(folder.path)
    write_json(folder.progress, 4)
