import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sft.exceptions import FolderInUse, MachineError
from sft.runs import lock
from sft.runs.files import ResultsFolder
from sft.runs.lock import UNKNOWN_HOLDER, lock_holder, locked

HOLD = """
import sys
from pathlib import Path
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked
with locked(ResultsFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def _take(folder: Path) -> None:
    with locked(ResultsFolder(folder)):
        pass


def test_a_folder_that_another_process_holds_is_refused_by_name_until_that_process_is_killed(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(FolderInUse, match=rf"pid {holder.pid} on host") as error:
        _take(tmp_path)
    assert error.value.exit_code == 3
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    _take(tmp_path)


def test_the_lock_is_free_again_after_the_block_and_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(ResultsFolder(tmp_path)):
        raise KeyError
    _take(tmp_path)
    _take(tmp_path)


def test_it_is_not_inherited_by_children(tmp_path: Path) -> None:
    with locked(ResultsFolder(tmp_path)):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        _take(tmp_path)
    finally:
        child.communicate()


def test_a_folder_that_cannot_be_made_is_the_machine_s(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be used as results folder"):
        _take(tmp_path / "file" / "results")


def test_a_reader_sees_who_holds_it_and_takes_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    for _ in range(3):
        assert (lock_holder(ResultsFolder(tmp_path)) or "").startswith(f"pid {holder.pid} on host")
    (tmp_path / "run.lock").write_text("")
    assert lock_holder(ResultsFolder(tmp_path)) == UNKNOWN_HOLDER
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert lock_holder(ResultsFolder(tmp_path)) is None
    _take(tmp_path)


def test_a_folder_that_nobody_ran_in_is_free_and_stays_as_it_is(tmp_path: Path) -> None:
    assert lock_holder(ResultsFolder(tmp_path / "nowhere")) is None
    assert lock_holder(ResultsFolder(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_readers_do_not_take_each_other_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "run.lock").touch()
    reader = os.open(tmp_path / "run.lock", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    try:
        assert lock_holder(ResultsFolder(tmp_path)) is None
    finally:
        os.close(reader)


def test_the_runner_itself_is_a_holder_for_readers_in_its_process(tmp_path: Path) -> None:
    with locked(ResultsFolder(tmp_path)):
        assert (lock_holder(ResultsFolder(tmp_path)) or "").startswith(f"pid {os.getpid()} on host")


def test_a_reader_never_makes_a_run_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.lock").touch()
    reader = os.open(tmp_path / "run.lock", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    pauses = []

    def leave(seconds: float) -> None:
        pauses.append(seconds)
        fcntl.flock(reader, fcntl.LOCK_UN)

    monkeypatch.setattr(lock.time, "sleep", leave)
    try:
        _take(tmp_path)
    finally:
        os.close(reader)
    assert len(pauses) == 1


def test_a_lock_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("mine")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "run.lock").symlink_to(tmp_path / "canary")
    with pytest.raises(MachineError, match="symbolic links"):
        _take(tmp_path / "results")
    assert (tmp_path / "canary").read_text() == "mine"
