"""The guard as the runner starts it, with commands of a few milliseconds; sockets and exit codes only."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sft.experiments.executors import guard

SHELL = "/bin/sh"


class Guarded:
    """A guard with a shell command."""

    def __init__(self, script: str, folder: Path, cores: str = "") -> None:
        self.ours, theirs = socket.socketpair()
        self.errors = folder / "errors"
        with theirs, self.errors.open("wb") as errors:
            command = [sys.executable, "-I", "-S", guard.__file__, cores, SHELL, "-c", script]
            before = signal.pthread_sigmask(signal.SIG_BLOCK, guard.LEFT_TO_RUNNER)
            self.process = subprocess.Popen(command, stdin=theirs, stderr=errors, stdout=errors, cwd=folder)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end(self) -> int:
        return self.process.wait(10)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[type[Guarded]]:
    made: list[Guarded] = []

    def build(script: str, cores: str = "") -> Guarded:
        made.append(Guarded(script, tmp_path, cores))
        return made[-1]

    yield build
    for item in made:
        item.ours.close()
        item.end()


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 17", 17), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_the_code_of_the_command_passes_through(make, script: str, code: int) -> None:
    assert make(script).end() == code


def test_the_command_is_told_by_its_id_leads_a_session_and_has_no_input(make, tmp_path: Path) -> None:
    guarded = make('echo $$ "$SFT_GUARD_PID" > told; read line || echo none >> told')
    assert guarded.end() == 0
    started, pid, guard_pid, ended, code = guarded.ours.recv(64).decode().split()
    assert (started, ended, code) == ("started", "ended", "0")
    assert (tmp_path / "told").read_text().split() == [pid, guard_pid, "none"]
    assert guard_pid == str(guarded.process.pid)


def test_a_command_that_does_not_exist_is_told(make, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", "-S", guard.__file__, "", "/nowhere/command"]
    with ours, theirs:
        ended = subprocess.run(command, stdin=theirs, capture_output=True, check=False)
    assert ended.returncode == 127
    assert b"/nowhere/command" in ended.stderr


def test_the_end_of_the_socket_kills(make) -> None:
    guarded = make("sleep 600")
    assert guarded.ours.recv(64)
    guarded.ours.close()
    assert guarded.end() == 137


def test_orders_are_followed_and_the_last_one_kills_all(make, tmp_path: Path) -> None:
    guarded = make("trap 'echo heard > heard' TERM; echo > ready; while true; do sleep 0.01; done")
    _wait_for(tmp_path / "ready")
    guarded.ours.send(guard.STOP)
    _wait_for(tmp_path / "heard")
    guarded.ours.send(guard.KILL_ALL)
    assert guarded.end() == 137


@pytest.mark.parametrize("number", guard.LEFT_TO_RUNNER)
def test_what_is_sent_to_all_processes_is_left_to_the_runner(make, tmp_path: Path, number: int) -> None:
    """The worker hears of it only by an order; of signals themselves, it gets SIGTERM as any process does."""
    guarded = make("trap 'echo heard > heard' TERM; echo > ready; while true; do sleep 0.01; done")
    worker = int(guarded.ours.recv(64).split()[1])
    _wait_for(tmp_path / "ready")
    guarded.process.send_signal(number)
    if number != signal.SIGTERM:
        os.kill(worker, number)
    guarded.ours.send(guard.STOP)
    _wait_for(tmp_path / "heard")
    guarded.ours.send(guard.KILL_ALL)
    assert guarded.end() == 137


def test_stacks_asked_for_too_early_do_no_harm(make, tmp_path: Path) -> None:
    guarded = make("echo > ready; sleep 0.2; exit 3")
    _wait_for(tmp_path / "ready")
    guarded.ours.send(guard.DUMP_STACKS)
    assert guarded.end() == 3


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux only")
def test_what_outlives_the_command_is_ended_and_named(make, tmp_path: Path) -> None:
    guarded = make("setsid sleep 600 & echo $! > child; exit 5")
    assert guarded.end() == 5
    assert not Path(f"/proc/{(tmp_path / 'child').read_text().strip()}").exists()
    assert guarded.errors.read_text() == "processes that outlived the worker were ended: 1 (sleep)\n"


def test_what_leaves_by_itself_soon_is_not_mentioned(make) -> None:
    guarded = make("sleep 0.1 & exit 0")
    assert guarded.end() == 0
    assert guarded.errors.read_text() == ""


ELSEWHERE = """
import os, runpy, sys
sys.platform, os.path.isdir, sys.argv = "darwin", lambda _: False, ["guard", "", *sys.argv[2:]]
runpy.run_path(GUARD, run_name="__main__")
"""


def test_without_proc_and_subreaper_the_process_group_is_killed(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    code = ELSEWHERE.replace("GUARD", repr(guard.__file__))
    command = [sys.executable, "-I", "-S", "-c", code, "", SHELL, "-c", "sleep 600 & echo $! > child; wait"]
    with theirs:
        process = subprocess.Popen(command, stdin=theirs, cwd=tmp_path)
    _wait_for(tmp_path / "child")
    ours.close()
    assert process.wait(10) == 137
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    assert not child.exists() or child.read_text().split()[2] == "Z"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_the_command_is_bound_to_its_cores(make, tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    assert make("grep Cpus_allowed_list /proc/self/status > told", str(core)).end() == 0
    assert (tmp_path / "told").read_text().split()[-1] == str(core)
    assert make("exit 4", "4000").end() == 4


def test_descendants_are_found_below_a_process_only() -> None:
    with subprocess.Popen([SHELL, "-c", "sleep 600 & wait"]) as shell:
        try:
            deadline = time.monotonic() + 10
            while sorted((below := guard.descendants(shell.pid)).values()) != ["sleep"]:
                assert time.monotonic() < deadline, below
            assert shell.pid in guard.descendants(os.getpid())
        finally:
            for pid in (*guard.descendants(shell.pid), shell.pid):
                os.kill(pid, signal.SIGKILL)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name}"
        time.sleep(0.005)
