"""Ctrl-C, the signals of schedulers, and a terminal that closes: what runs is stopped, and a later run goes on."""

import contextlib
import os
import pty
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
SAVING = 20.0


def marker(folder: Any, name: str) -> Path:
    return Path(folder.path / f"marker-{name}")


def wait_for(folder: Any, name: str) -> None:
    wait_until(marker(folder, name).exists)


def send(process: Any, number: signal.Signals, whole_group: bool = False) -> None:
    os.killpg(process.pid, number) if whole_group else process.send_signal(number)


@BOTH_STARTS
@pytest.mark.parametrize("whole_group", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ctrl_c_stops_what_runs_and_the_same_command_goes_on__row_6(grid: Any, start: str, whole_group: bool) -> None:
    grid.add("done")
    running = grid.add("running", "sleep")
    grid.add("waiting")
    process = grid.start(start=start)
    wait_for(running, "started")
    send(process, signal.SIGINT, whole_group)
    assert process.wait(SAVING) == -signal.SIGINT
    assert grid.states() == {"done": "done", "running": "interrupted", "waiting": None}
    assert grid.status("running").error.message == "stopped by SIGINT"
    assert "stopped: 1 done, 1 interrupted, 1 not started. Run the same command to continue." in grid.output()
    assert "Traceback" not in grid.output()
    marker(running, "go").touch()
    assert grid.run(start=start) == 0
    assert set(grid.states().values()) == {"done"}
    assert [state for name, state in grid.events() if name == "done-infer"] == ["running", "done"]


@BOTH_STARTS
def test_ctrl_c_twice_kills_at_once_and_the_status_is_valid__row_7(grid: Any, start: str) -> None:
    running = grid.add("running", "ignore_term")
    process = grid.start(start=start)
    wait_for(running, "ignoring")
    send(process, signal.SIGINT)
    wait_until(lambda: "once more ends them at once" in grid.output())
    assert process.poll() is None
    asked = time.monotonic()
    send(process, signal.SIGINT)
    assert process.wait(SAVING) == -signal.SIGINT
    assert time.monotonic() - asked < 10, "it waited for the grace of 30 s"
    assert grid.status("running").state == "interrupted"
    assert "was killed" in grid.status("running").error.message


@BOTH_STARTS
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGUSR2, marks=pytest.mark.slow)])
def test_a_scheduler_preempts_and_the_stage_can_save__row_8(grid: Any, start: str, number: signal.Signals) -> None:
    running = grid.add("running", "save_on_term")
    process = grid.start(start=start)
    wait_for(running, "working")
    send(process, number)
    assert process.wait(SAVING) == -signal.SIGTERM
    assert marker(running, "saved").exists()
    assert grid.status("running").state == "preempted"
    grid.add("running")
    assert grid.run(start=start, retries=0) == 0
    assert (grid.status("running").state, grid.status("running").attempt) == ("done", 2)


@BOTH_STARTS
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(
            pytest.param(number, marks=pytest.mark.slow)
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
        ),
    ],
)
def test_a_signal_to_every_process_of_a_run_is_answered_by_the_runner__row_8(
    grid: Any, start: str, number: signal.Signals, no_process_left: Callable[[], dict[int, str]]
) -> None:
    """systemd, Slurm, Kubernetes and a logout send so: runner, server, guards and workers all get it."""
    running = grid.add("running", "save_on_term")
    process = grid.start(start=start)
    wait_for(running, "working")
    for pid in sorted(no_process_left(), reverse=True):  # the runner hears of it last
        with contextlib.suppress(ProcessLookupError):  # one that was about to end
            os.kill(pid, number)
    assert process.wait(SAVING) == -(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
    assert marker(running, "saved").exists()
    assert grid.states() == {"running": "interrupted" if number == signal.SIGINT else "preempted"}
    assert "fresh from here on" not in grid.output()


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_as_the_first_process_of_a_container_it_exits_as_a_shell_would__row_8(grid: Any) -> None:
    grid.add("running", "save_on_term")
    process = grid.start(below=["unshare", "--pid", "--fork", "--mount-proc"])
    wait_for(grid.folder("running"), "working")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    assert process.wait(SAVING) == 128 + signal.SIGTERM
    assert grid.states() == {"running": "preempted"}


@BOTH_STARTS
def test_a_terminal_that_closes_is_a_request_to_stop__row_9(grid: Any, start: str) -> None:
    running = grid.add("running", "save_on_term")
    grid.add("waiting")
    ours, its = pty.openpty()
    process = grid.start(start=start, terminal=its, environment={"TERM": "xterm"})
    os.close(its)
    os.set_blocking(ours, False)
    wait_until(lambda: _drain(ours) and marker(running, "working").exists())
    os.close(ours)
    assert process.wait(SAVING) == -signal.SIGTERM
    assert marker(running, "saved").exists()
    assert grid.states() == {"running": "preempted", "waiting": None}
    assert not list(grid.results.path.glob("crash-*"))


def _drain(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        while os.read(descriptor, 65536):
            pass
    return True


def test_a_pipe_that_nobody_reads_stops_nothing__row_9(grid: Any) -> None:
    grid.add("a")
    grid.add("b")
    reading, writing = os.pipe()
    process = grid.start(output=writing)
    os.close(writing)
    os.close(reading)
    assert process.wait(SAVING) == 0
    assert grid.states() == {"a": "done", "b": "done"}


ENDLESS_BOARD = """
import pathlib, time
pathlib.Path("marker-board").touch()
time.sleep(600)
"""


def _with_an_endless_board(grid: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    """A runner whose board is being written for ever, and the jobs that run beside it."""
    monkeypatch.chdir(tmp_path)
    grid.spec = {"board": ENDLESS_BOARD, "machine": {"jobs": 2}}
    grid.add("done")
    running = [grid.add("a", "save_on_term"), grid.add("b", "save_on_term")]
    process = grid.start()
    wait_until((tmp_path / "marker-board").exists)
    for folder in running:
        wait_for(folder, "working")
    return process, running


def test_every_job_gets_its_signal_while_a_board_is_written_for_ever__row_8(
    grid: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, running = _with_an_endless_board(grid, tmp_path, monkeypatch)
    send(process, signal.SIGTERM)
    assert process.wait(SAVING) == -signal.SIGTERM
    assert all(marker(folder, "saved").exists() for folder in running)
    assert grid.states() == {"done": "done", "a": "preempted", "b": "preempted"}


def test_a_board_dies_with_its_runner__row_1(
    grid: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_process_left: Callable[[], dict[int, str]]
) -> None:
    process, _ = _with_an_endless_board(grid, tmp_path, monkeypatch)
    assert any("marker-board" in command for command in no_process_left().values())
    process.kill()
    process.wait()
    wait_until(lambda: not no_process_left(), 5.0)


@pytest.mark.slow
def test_a_job_that_ignores_the_request_is_killed_after_the_grace__row_10(grid: Any) -> None:
    running = grid.add("running", "ignore_term")
    process = grid.start(grace=0.3)
    wait_for(running, "ignoring")
    send(process, signal.SIGTERM)
    assert process.wait(SAVING) == -signal.SIGTERM
    assert "did not end when asked and was killed" in grid.status("running").error.message
