"""Whether the process that made a claim is there."""

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from sft.runs.claims import owner
from sft.runs.claims.owner import Owner, owner_of, this_process


def of(pid: int) -> Owner:
    return dataclasses.replace(this_process(), pid=pid, started=owner._started(pid))


def test_a_process_lives_until_it_is_dead_also_where_nobody_has_waited_for_it() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    told = of(process.pid)
    assert told.lives is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert told.lives is False
    process.communicate()
    assert told.lives is False
    assert this_process().lives is True


def test_an_id_that_was_given_again_is_another_process() -> None:
    assert dataclasses.replace(this_process(), started=1).lives is False


@pytest.mark.parametrize("place", [None, "another boot pid:[4026531836]"])
def test_of_a_process_elsewhere_nothing_is_known(place: str | None) -> None:
    assert dataclasses.replace(this_process(), place=place).lives is None


def test_a_process_that_is_not_shown_may_live(monkeypatch: pytest.MonkeyPatch) -> None:
    told = this_process()

    def hide(_pid: int) -> int:
        raise FileNotFoundError

    monkeypatch.setattr(owner, "_started", hide)
    assert told.lives is None
    assert dataclasses.replace(told, pid=2**22 + 1).lives is False


def test_a_system_that_shows_no_processes_tells_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_PROC", tmp_path)
    assert (this_process().place, this_process().lives) == (None, None)


def test_an_owner_is_read_as_it_was_written() -> None:
    told = this_process()
    assert owner_of(dataclasses.asdict(told)) == told
    assert owner_of({"pid": 1}) is None
    assert owner_of([]) is None
    for pid in ("1", 0, -1, 10**30, None):
        assert owner_of(dataclasses.asdict(told) | {"pid": pid}) is None
