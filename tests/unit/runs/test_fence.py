"""A folder that is held by a lock, and what happens at its path when it is not there any more."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sft.exceptions import MachineError
from sft.runs.atomic import atomic_file, write_json
from sft.runs.events import EventLog
from sft.runs.fence import holding_read, require_in_place
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked


def move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def replace(folder: Path) -> None:
    move(folder)
    with locked(ResultsFolder(folder)):
        pass


def replace_by_a_file(folder: Path) -> None:
    move(folder)
    folder.touch()


def replace_by_a_link(folder: Path) -> None:
    """To where the same lock file lies, linked too: another folder all the same."""
    move(folder)
    folder.mkdir()
    (folder / "run.lock").symlink_to(folder.with_name("moved") / "run.lock")


@pytest.mark.parametrize("change", [move, replace, replace_by_a_file, replace_by_a_link])
def test_nothing_is_written_where_another_folder_stands(tmp_path: Path, change: Callable[[Path], None]) -> None:
    results = ResultsFolder(tmp_path / "results")
    log = EventLog(results.events)
    with locked(results):
        write_json(results.grid, 1)
        log.append("a", "infer", "done", 1, None)
        change(results.path)
        for write in (
            lambda: write_json(results.grid, 2),
            lambda: write_json(results.path / "stages" / "x" / "status.json", 2),
            lambda: log.append("b", "infer", "done", 1, None),
            lambda: require_in_place(results.path),
        ):
            with pytest.raises(MachineError, match="was moved, deleted or replaced"):
                write()
        write_json(tmp_path / "elsewhere.json", 3)
    assert not results.grid.exists()
    assert (tmp_path / "moved" / "grid.json").read_text() == "1\n"


def test_a_folder_that_goes_while_a_file_is_written_gets_no_file(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path / "results")
    writing = atomic_file(results.grid)
    with locked(results):
        writing.__enter__().write(b"1")
        replace(results.path)
        with pytest.raises(MachineError):
            writing.__exit__(None, None, None)
    assert not results.grid.exists()


def test_a_helper_is_held_back_as_the_holder_is_and_needs_no_lock(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path / "results")
    with holding_read(results.lock):
        write_json(results.grid, 1)
    with locked(results), holding_read(results.lock):
        write_json(results.grid, 2)
    with holding_read(results.lock):
        replace(results.path)
        with pytest.raises(MachineError):
            write_json(results.grid, 3)
