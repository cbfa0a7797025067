import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sft.errors import FolderInUse, MachineError
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked

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
