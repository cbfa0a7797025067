"""What holds of every executor: ends are told as they were, stops are heeded, what is lost is found or tried again.

`processes` is a cluster of processes on this machine, `late` the same on a disk that shows files late and refuses
calls, `slurm` a real one with one node, `ray` one with two.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.runs.attempts import begin_attempt
from sft.runs.chains import Ended, SubmittedTry, read
from sft.runs.files import JobFolder
from tests.faults.conftest import is_alive, marker
from tests.support.late_disk import late_disk
from tests.support.waiting import wait_until

Living = Callable[[], dict[int, str]]
LATE, SLURM, RAY = (pytest.param(name, marks=pytest.mark.slow) for name in ("late", "slurm", "ray"))
LATE_SECONDS = 1.0
ENDING = 180.0


@pytest.fixture
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The name of an executor that is ready."""
    name = str(request.param)
    if name == "late":
        library = request.getfixturevalue("late_library")
        for variable, value in late_disk(library, tmp_path / "results", LATE_SECONDS).items():
            monkeypatch.setenv(variable, value)
        return "processes"
    if name == "slurm":
        for variable, value in request.getfixturevalue("slurm_environment").items():
            monkeypatch.setenv(variable, value)
    if name == "ray":
        for variable, value in request.getfixturevalue("ray_nodes").environment.items():
            monkeypatch.setenv(variable, value)
    return name


on_all = pytest.mark.parametrize("where", ["local", "processes", LATE, SLURM, RAY], indirect=True)
on_clusters = pytest.mark.parametrize("where", ["processes", LATE, SLURM], indirect=True)
"""Whose jobs go on without a runner; what is else of Ray is in test_ray.py."""
without_queue = pytest.mark.parametrize("where", ["local", "processes", LATE], indirect=True)
on_processes = pytest.mark.parametrize("where", ["processes", LATE], indirect=True)
"""Of faults below the chain, which do not depend on who started it."""


def pid_in(folder: JobFolder, name: str) -> int:
    path = marker(folder, name)
    wait_until(path.exists, ENDING)
    return int(path.read_text())


@on_all
def test_ends_are_told_as_they_were(grid: Any, where: str) -> None:
    grid.add("whole", stages=("train", "infer", "evaluate"))
    grid.add("broken", "raise", kind="data", message="row 7", stages=("train", "infer"))
    grid.add("flaky", "fail_times", times=1)
    assert grid.run(executor=where) == 1
    assert grid.states() == {"whole": "done", "broken": "failed", "flaky": "done"}
    assert (grid.status("broken").error.message, grid.status("flaky").attempt) == ("row 7", 2)
    assert [state for name, state in grid.events() if name == "broken-infer"][-1:] == ["failed"]


@without_queue
def test_a_killed_worker_is_tried_again(grid: Any, where: str) -> None:
    running = grid.add("running", "sleep", stages=("infer", "evaluate"))
    process = grid.start(executor=where)
    os.kill(pid_in(running, "started"), signal.SIGKILL)
    wait_until(lambda: len(running.attempts()) == 2, ENDING)
    marker(running, "go").touch()
    assert process.wait(ENDING) == 0
    assert grid.states() == {"running": "done"}


@on_all
def test_a_stage_that_is_stopped_can_save_and_goes_on_later(grid: Any, where: str, no_process_left: Living) -> None:
    running = grid.add("running", "save_on_term", stages=("infer", "evaluate"))
    process = grid.start(executor=where)
    wait_until(marker(running, "working").exists, ENDING)
    process.send_signal(signal.SIGTERM)
    assert process.wait(ENDING) == -signal.SIGTERM
    assert marker(running, "saved").exists()
    assert grid.status("running", 0).state == "preempted"
    wait_until(lambda: not no_process_left(), ENDING)
    grid.add("running", stages=("infer", "evaluate"))
    assert grid.run(executor=where, retries=0) == 0
    assert (grid.status("running").state, grid.status("running", 0).attempt) == ("done", 2)


@without_queue
def test_a_stage_over_its_time_is_ended_with_its_stacks(grid: Any, where: str) -> None:
    running = grid.add("running", "ignore_term", stages=("infer", "evaluate"))
    assert grid.run(executor=where, timeout=2.0, grace=1.0) == 1
    assert grid.status("running").state == "timeout"
    assert "most recent call first" in running.attempts()[0].stderr.read_text()


@on_clusters
def test_what_runs_outlives_its_runner_and_is_taken_over(grid: Any, where: str) -> None:
    running = grid.add("running", "sleep", stages=("train", "infer", "evaluate"))
    process = grid.start(executor=where)
    worker = pid_in(running, "started")
    process.kill()
    process.wait()
    assert is_alive(worker)
    second = grid.start(executor=where)
    wait_until(lambda: ("running-train", "running") in grid.events()[-3:], ENDING)
    assert is_alive(worker)
    marker(running, "go").touch()
    assert second.wait(ENDING) == 0
    assert grid.states() == {"running": "done"}
    assert [len(grid.folder("running", stage).attempts()) for stage in range(3)] == [1, 1, 1]


@on_processes
def test_what_ended_without_a_runner_is_not_run_again(grid: Any, where: str) -> None:
    running = grid.add("running", "sleep", stages=("infer", "evaluate"))
    process = grid.start(executor=where)
    pid_in(running, "started")
    process.kill()
    process.wait()
    marker(running, "go").touch()
    wait_until(grid.folder("running").manifest.exists, ENDING)
    assert grid.run(executor=where) == 0
    assert [len(grid.folder("running", stage).attempts()) for stage in range(2)] == [1, 1]


@on_processes
def test_a_try_that_was_given_up_ends_and_publishes_nothing(grid: Any, where: str, no_process_left: Living) -> None:
    running = grid.add("running", "sleep", stages=("infer", "evaluate"))
    process = grid.start(executor=where)
    worker = pid_in(running, "started")
    process.kill()
    process.wait()
    begin_attempt(running)
    wait_until(lambda: not is_alive(worker), ENDING)
    wait_until(lambda: not no_process_left(), ENDING)
    assert not running.manifest.exists()


@on_clusters
def test_a_chain_that_is_killed_whole_leaves_nothing_and_is_tried_again(
    grid: Any, where: str, no_process_left: Living
) -> None:
    running = grid.add("running", "spawn_setsid_grandchild", stages=("infer", "evaluate"))
    process = grid.start(executor=where)
    pids = [pid_in(running, name) for name in ("started", "child", "grandchild")]
    chains = [pid for pid, words in no_process_left().items() if "--chain" in words]
    for pid in chains:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), ENDING)
    wait_until(lambda: len(running.attempts()) == 2, ENDING)
    marker(running, "go").touch()
    assert process.wait(ENDING) == 0


@on_clusters
def test_a_signal_of_the_cluster_lets_the_stage_save(grid: Any, where: str, no_process_left: Living) -> None:
    running = grid.add("running", "save_on_term", stages=("infer", "evaluate"))
    process = grid.start(executor=where, retries=0)
    wait_until(marker(running, "working").exists, ENDING)
    for pid, words in no_process_left().items():
        if "--chain" in words:
            os.kill(pid, signal.SIGTERM)
    wait_until(marker(running, "saved").exists, ENDING)
    wait_until(lambda: len(running.attempts()) == 2, ENDING)
    ended = read(SubmittedTry(running.attempt(1).path).ended, Ended)
    assert ended is not None
    assert ended.stopped_by == "SIGTERM"
    process.send_signal(signal.SIGTERM)
    process.wait(ENDING)


def test_a_chain_follows_a_results_folder_to_another_path(grid: Any, tmp_path: Path) -> None:
    """Nodes may see the folder elsewhere: everything in a chain is relative to its file."""
    running = grid.add("running", "sleep", stages=("infer", "evaluate"))
    process = grid.start(executor="processes")
    pid_in(running, "started")
    process.kill()
    process.wait()
    file = SubmittedTry(running.attempt(1).path).chain
    assert str(tmp_path) not in file.read_text().replace(os.getcwd(), "").replace(f'"folder": "{tmp_path}', "")
    marker(running, "go").touch()
    wait_until(grid.folder("running").manifest.exists, ENDING)
