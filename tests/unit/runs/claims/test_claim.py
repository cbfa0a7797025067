"""Folders that are claimed where no file can be locked: one process has a folder, and who is gone has it no more."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import FolderInUse, MachineError
from sft.runs.atomic import write_json
from sft.runs.claims import claim
from sft.runs.claims.claim import Claimed, claimed, holder_of
from sft.runs.claims.owner import this_process
from sft.runs.fence import require_in_place
from sft.runs.files import ResultsFolder
from sft.runs.lock import UNKNOWN_HOLDER, lock_holder, locked
from tests.support.waiting import wait_until

NO_LOCKS = """
import errno, fcntl, os, sys
from pathlib import Path
def refuse(*_): raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
fcntl.flock = refuse
from sft.exceptions import FolderInUse
from sft.runs.files import ResultsFolder
from sft.runs.lock import locked
"""
HOLD = """
with locked(ResultsFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""
RACE = """
print("ready", flush=True)
sys.stdin.readline()
try:
    with locked(ResultsFolder(Path(sys.argv[1]))):
        print("held", flush=True)
        sys.stdin.readline()
except FolderInUse:
    print("refused", flush=True)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(claim, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(claim, "PAUSE_SECONDS", 0.01)


LAST_LOOK = 20
"""At a claim, before it is taken over."""


class Watch:
    """The observer's time, which passes by its pauses alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses = 0
        self.at_pause: Callable[[int], object] = lambda _: None
        """Called with how many pauses there were."""

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses += 1
        self.at_pause(self.pauses)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(claim, "time", made)
    return made


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr("fcntl.flock", refuse)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started = []

    def run(program: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", NO_LOCKS + program, str(tmp_path)]
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def elsewhere(place: Path, number: int = 1, count: str = "7") -> Path:
    """A claim that was made on another machine."""
    folder = place / str(number)
    folder.mkdir(parents=True)
    owner = dataclasses.replace(this_process(), host="node7", pid=42, place="another boot")
    (folder / "owner.json").write_text(json.dumps(dataclasses.asdict(owner)))
    (folder / "count").write_text(count.rjust(20))
    return folder


def numbers(place: Path) -> list[int]:
    return sorted(int(path.name) for path in place.iterdir())


def test_a_second_run_is_refused_by_name_until_the_first_is_killed(
    tmp_path: Path, without_locks: None, start: Callable[..., subprocess.Popen[str]]
) -> None:
    holder, results = start(HOLD), ResultsFolder(tmp_path)
    assert line(holder) == "held"
    with pytest.raises(FolderInUse, match=rf"in use by another run \(pid {holder.pid} on host .*, since .*\)\. Wait"):
        locked(results).__enter__()
    assert (lock_holder(results) or "").startswith(f"pid {holder.pid} on host")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert lock_holder(results) is None
    with locked(results):
        assert (lock_holder(results) or "").startswith(f"pid {os.getpid()} on host")
    assert lock_holder(results) is None
    assert numbers(results.claims) == [2]


def test_of_many_at_the_same_moment_one_has_the_folder(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    for number in range(3):
        racers = [start(RACE) for _ in range(4)]
        assert {line(racer) for racer in racers} == {"ready"}
        for racer in racers:
            go(racer)
        told = [line(racer) for racer in racers]
        assert sorted(told) == ["held", *["refused"] * 3]
        winner = racers[told.index("held")]
        if number == 1:
            winner.kill()  # and the next three find what it left
        else:
            go(winner)
        winner.wait()


def test_an_owner_elsewhere_that_counts_on_keeps_the_folder(tmp_path: Path, watch: Watch) -> None:
    place = tmp_path / "run.claims"
    count = elsewhere(place) / "count"
    watch.at_pause = lambda pauses: count.write_text("8".rjust(20)) if pauses == LAST_LOOK else None
    said: list[str] = []
    with pytest.raises(Claimed, match="pid 42 on host node7"):
        claimed(place, said.append).__enter__()
    assert numbers(place) == [1]
    assert len(said) == 1
    assert "is claimed by pid 42 on host node7" in said[0]


def test_while_the_disk_or_the_observer_stands_still_no_owner_falls_silent(tmp_path: Path, watch: Watch) -> None:
    place = tmp_path / "run.claims"
    count = elsewhere(place) / "count"

    def pause(pauses: int) -> None:
        if pauses == 1:
            watch.now += 1000 * claim.SILENT_SECONDS
        if pauses == LAST_LOOK:
            count.write_text("8".rjust(20))

    watch.at_pause = pause
    with pytest.raises(Claimed, match="pid 42 on host node7"):
        claimed(place, lambda _: None).__enter__()
    assert numbers(place) == [1]


def test_an_owner_elsewhere_that_is_silent_loses_it(tmp_path: Path, watch: Watch) -> None:
    place = tmp_path / "run.claims"
    elsewhere(place, 4)
    assert (holder_of(place) or "").startswith("pid 42 on host node7")
    with claimed(place, lambda _: None):
        assert (numbers(place), watch.pauses) == ([5], LAST_LOOK)
        assert (holder_of(place) or "").startswith(f"pid {os.getpid()} on")
    assert holder_of(place) is None


def test_an_owner_of_this_machine_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "run.claims"
    record = json.loads((elsewhere(place) / "owner.json").read_text()) | {"place": this_process().place, "started": 1}
    (place / "1" / "owner.json").write_text(json.dumps(record | {"pid": os.getpid()}))
    said: list[str] = []
    with claimed(place, said.append):
        assert numbers(place) == [2]
    assert said == []


@pytest.mark.parametrize("name", ["owner.json", "count", None])
def test_a_claim_that_never_was_whole_is_taken_over_in_the_end(tmp_path: Path, name: str | None) -> None:
    place = tmp_path / "run.claims"
    made = elsewhere(place)
    for file in list(made.iterdir()):
        if file.name != name:
            file.unlink()
    assert holder_of(place) is not None
    with claimed(place, lambda _: None):
        assert numbers(place) == [2]


def test_a_claim_without_a_name_is_somebody_s(tmp_path: Path, without_locks: None) -> None:
    results = ResultsFolder(tmp_path)
    results.lock.touch()
    (results.claims / "1").mkdir(parents=True)
    assert lock_holder(results) == UNKNOWN_HOLDER


def test_what_was_let_go_elsewhere_is_free_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "SILENT_SECONDS", 1000.0)
    place = tmp_path / "run.claims"
    elsewhere(place, count="over")
    assert holder_of(place) is None
    with claimed(place, lambda _: None):
        assert numbers(place) == [2]


def test_who_was_taken_over_writes_nothing_more(tmp_path: Path, without_locks: None) -> None:
    results = ResultsFolder(tmp_path)
    with locked(results):
        write_json(results.grid, 1)
        elsewhere(results.claims, 2)
        (results.claims / "1" / "owner.json").unlink()
        with pytest.raises(MachineError, match="another run has taken this folder over"):
            write_json(results.grid, 2)
    assert results.grid.read_text() == "1\n"
    assert (results.claims / "2" / "count").read_text().strip() == "7"


def test_who_was_slow_to_judge_takes_nothing_from_those_who_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim that it found silent has been taken over twice since, and it has yet to see that."""
    place = tmp_path / "run.claims"
    old = elsewhere(place)
    real, listed = claim._claims, []

    def stale(asked: Path) -> Any:
        if not listed:
            listed.append(real(asked))
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
            elsewhere(place, 3)
            return listed[0]
        return real(asked)

    monkeypatch.setattr(claim, "_claims", stale)
    monkeypatch.setattr(claim, "SILENT_SECONDS", 0.1)

    def look(_: str) -> None:
        (place / "3" / "count").write_text("8".rjust(20))

    with pytest.raises(Claimed, match="node7"):
        claimed(place, look).__enter__()
    assert numbers(place) == [3]


def a_file(place: Path) -> None:
    place.write_text("")


def a_link_to_itself(place: Path) -> None:
    place.symlink_to(place)


def a_folder_in_place_of_a_count(place: Path) -> None:
    (place / "1" / "count").mkdir(parents=True)


@pytest.mark.parametrize("make", [a_file, a_link_to_itself, a_folder_in_place_of_a_count])
def test_what_is_not_as_a_run_makes_it_is_told_in_one_line(
    tmp_path: Path, without_locks: None, make: Callable[[Path], None]
) -> None:
    results = ResultsFolder(tmp_path)
    results.lock.touch()
    make(results.claims)
    for use in (lambda: lock_holder(results), locked(results).__enter__):
        with pytest.raises(MachineError, match=r"run\.claims.*: .*; (let this user .*, or )?move it away") as told:
            use()
        assert len(str(told.value).splitlines()) == 1


def test_a_lock_that_is_a_link_is_told_to_readers_too(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path)
    results.lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MachineError, match=r"run\.lock: cannot be used: Too many levels of symbolic links\. With run"):
        lock_holder(results)


@pytest.mark.parametrize("name", ["1", "7"])
@pytest.mark.parametrize("kind", ["file", "link to nothing", "link to a folder"])
def test_what_is_no_folder_claims_nothing(tmp_path: Path, watch: Watch, name: str, kind: str) -> None:
    place = tmp_path / "run.claims"
    place.mkdir()
    (place / "note").touch()
    if kind == "file":
        (place / name).touch()
    else:
        (place / name).symlink_to(tmp_path if kind == "link to a folder" else tmp_path / "nowhere")
    watch.at_pause = lambda pauses: pytest.fail("it waits for nobody") if pauses > 1 else None
    for _ in range(8):
        assert holder_of(place) is None
        with claimed(place, lambda _: None):
            assert holder_of(place) is not None
    assert {path.name for path in place.iterdir()} == {"note", name, "9"}


def test_a_folder_of_claims_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "run.claims"
    place.symlink_to(tmp_path / "elsewhere")
    with claimed(place, lambda _: None):
        assert holder_of(place) is not None
    assert numbers(tmp_path / "elsewhere") == [1]


def test_a_heart_that_somebody_stopped_beats_again(tmp_path: Path) -> None:
    place = tmp_path / "run.claims"
    with claimed(place, lambda _: None):
        count = place / "1" / "count"
        wait_until(lambda: int(count.read_text()) > 2)
        found = (entry for entry in Path("/proc").iterdir() if str(count).encode() in _words(entry))
        (beating,) = (int(entry.name) for entry in found)
        os.kill(beating, signal.SIGKILL)
        wait_until(lambda: not _words(Path(f"/proc/{beating}")))
        before = count.read_text()
        wait_until(lambda: require_in_place(place) or count.read_text() != before)


def _words(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""
