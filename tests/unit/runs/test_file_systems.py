"""File systems without locks, flushing or permissions: said once, and done without."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.runs import notices
from sft.runs.atomic import write_json
from sft.runs.file_systems import chmod, copy_folder, equal_modes
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import lock_holder, locked
from sft.runs.manifest import is_done, write_manifest
from sft.runs.notices import told_to

CODES = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK, errno.EPERM)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is said, from the beginning."""
    monkeypatch.setattr(notices, "_LISTENER", type(notices._LISTENER)())
    lines: list[str] = []
    with told_to(lines.append):
        yield lines


def refusing(code: int) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", CODES)
def test_what_a_file_system_refuses_is_said_once_and_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], code: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    monkeypatch.setattr(os, "fsync", refusing(code))
    monkeypatch.setattr(os, "chmod", refusing(code))
    results = ResultsFolder(tmp_path / "results")
    job = JobFolder(results.path / "job")
    with locked(results):
        for number in range(2):
            write_json(job.path / f"{number}.json", number)
        write_manifest(job, [job.path / "0.json", job.path / "1.json"])
        equal_modes(job.path, "0.json")
        assert (lock_holder(results) or "").startswith(f"pid {os.getpid()} on host")
    assert lock_holder(results) is None
    assert is_done(job)
    assert [line.rpartition("(")[2].partition(":")[0] for line in told] == ["flock", "fsync", "chmod"]
    assert all(line.startswith(f"warning: the file system of {results.path}") for line in told)


@pytest.mark.parametrize("call", ["fsync", "chmod"])
def test_a_disk_that_fails_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str], call: str
) -> None:
    monkeypatch.setattr(os, call, refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        write_json(tmp_path / "file.json", 1) if call == "fsync" else chmod(tmp_path, 0o755)
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_copied_where_permissions_and_times_cannot_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "from", tmp_path / "to" / "there"
    (source / "deep").mkdir(parents=True)
    (source / "file").write_text("a")
    (source / "deep" / "file").write_text("b")
    (target / "deep").mkdir(parents=True)
    (target / "file").write_text("old")
    monkeypatch.setattr(os, "chmod", refusing(errno.EPERM))
    monkeypatch.setattr(os, "utime", refusing(errno.EPERM))
    copy_folder(source, target)
    assert ((target / "file").read_text(), (target / "deep" / "file").read_text()) == ("a", "b")


@pytest.mark.parametrize(
    ("target", "words"),
    [("gone", "a link to gone, which is no folder"), ("loop", "a link to loop"), (None, "this is no folder")],
)
@pytest.mark.parametrize("below", [".", "deep"])
def test_what_stands_in_the_place_of_a_folder_is_named(
    tmp_path: Path, target: str | None, words: str, below: str
) -> None:
    taken = tmp_path / "loop"
    if target is None:
        taken.write_text("")
    else:
        taken.symlink_to(target)
    with pytest.raises(MachineError, match=words) as told:
        write_json(taken / below / "file.json", 1)
    assert str(told.value).startswith(f"{taken}: ")
