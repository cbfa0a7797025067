"""Grids that are run again, by two at once, with other settings, and the policy of what is tried again."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.runs.files import ResultsFolder

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
STAGES = ("train", "infer", "evaluate")
CANARY = "canary-Zx81-of-the-environment"
TOKEN = "hf_" + "Canary" * 6


@BOTH_STARTS
def test_a_grid_whose_every_worker_crashes_stops_early__row_20(grid: Any, start: str) -> None:
    for number in range(9):
        grid.add(f"job-{number}", "segfault")
    assert grid.run(start=start) == 1
    assert list(grid.states().values()) == ["failed"] * 5 + [None] * 4
    assert "every experiment crashes on start: worker was ended by SIGSEGV" in grid.output()
    assert "4 not started" in grid.output()


@pytest.mark.parametrize("repeats", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_of_two_runners_on_one_folder_the_second_ends_with_3__row_29(
    grid: Any, repeats: int, wait: Callable[..., Any], tmp_path: Path
) -> None:
    for number in range(repeats):
        grid.results = ResultsFolder(tmp_path / f"results-{number}")
        running = grid.add("running", "sleep")
        barrier = tmp_path / f"barrier-{number}"
        barrier.mkdir()
        grid.spec = {"barrier": str(barrier)}
        runners = [grid.start(), grid.start()]
        wait(lambda folder=barrier: len(list(folder.glob("here-*"))) == 2)
        (barrier / "go").touch()
        loser = wait(lambda both=runners: next((one for one in both if one.poll() is not None), None))
        winner = next(one for one in runners if one is not loser)
        assert loser.returncode == 3
        output = grid.output(2 * number + 1 + runners.index(loser))
        assert f"is in use by another run (pid {winner.pid} on host {os.uname().nodename}, since 20" in output
        wait((running.path / "marker-started").exists)
        (running.path / "marker-go").touch()
        assert winner.wait(30) == 0
        assert [state for _, state in grid.events()] == ["running", "done"]


@BOTH_STARTS
@pytest.mark.parametrize("fate", ["moved", "deleted"])
def test_a_folder_that_leaves_its_path_ends_its_run_with_5__row_29(
    grid: Any, start: str, fate: str, wait: Callable[..., Any], tmp_path: Path
) -> None:
    running = grid.add("running", "sleep")
    process = grid.start(start=start)
    wait((running.path / "marker-started").exists)
    moved = grid.results.path.rename(tmp_path / "moved")
    if fate == "deleted":
        shutil.rmtree(moved, ignore_errors=True)
    assert process.wait(30) == 5
    assert "results: is not the folder any more that was locked at the start" in grid.output()
    assert not grid.results.path.exists()


def test_of_two_runs_around_a_move_only_the_second_writes_to_the_new_folder__row_29(
    grid: Any, wait: Callable[..., Any], tmp_path: Path
) -> None:
    running = grid.add("running", "sleep")
    first = grid.start(start="fresh")
    wait((running.path / "marker-started").exists)
    grid.results.path.rename(tmp_path / "moved")
    second = grid.start(start="fresh")
    assert first.wait(30) == 5
    wait((running.path / "marker-started").exists)
    (running.path / "marker-go").touch()
    assert second.wait(30) == 0
    assert grid.events() == [("running-infer", "running"), ("running-infer", "done")]
    assert [attempt.path.name for attempt in running.attempts()] == ["01"]


@BOTH_STARTS
def test_after_the_runner_was_killed_the_same_command_goes_on__row_30(
    grid: Any, start: str, wait: Callable[..., Any], no_process_left: Callable[[], dict[int, str]]
) -> None:
    grid.add("done", stages=STAGES)
    running = grid.add("running", "sleep", stages=STAGES)
    process = grid.start(start=start)
    wait((running.path / "marker-started").exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait(lambda: not no_process_left(), 2.0)
    assert grid.status("running", 0).state == "running"
    (running.path / "marker-go").touch()
    assert grid.run(start=start) == 0
    assert "done 1, retry 1 (lost 1), new 0" in grid.output()
    assert set(grid.states().values()) == {"done"}
    names = [name for name, state in grid.events() if state == "running"]
    assert names.count("running-train") == 2
    assert names.count("done-train") == 1


@BOTH_STARTS
def test_passing_faults_are_tried_again_in_a_new_folder_and_lasting_ones_are_not__row_47(
    grid: Any, start: str
) -> None:
    passing = grid.add("passing", "fail_times", times=2, kind="network")
    lasting = grid.add("lasting", "raise", kind="data", message="no rows")
    assert grid.run(start=start, retries=2) == 1
    assert grid.states() == {"passing": "done", "lasting": "failed"}
    assert [attempt.path.name for attempt in passing.attempts()] == ["01", "02", "03"]
    for number, attempt in enumerate(passing.attempts()[:2], start=1):
        assert f"try {number} fails" in attempt.stderr.read_text()
    assert len(lasting.attempts()) == 1


@pytest.mark.slow
def test_a_fault_that_stays_fails_after_its_retries_and_is_tried_by_the_next_run__row_47(grid: Any) -> None:
    folder = grid.add("stays", "fail_times", times=3, kind="network")
    assert grid.run(retries=1) == 1
    assert len(folder.attempts()) == 2
    assert grid.run(retries=1) == 0
    assert len(folder.attempts()) == 4


@pytest.mark.slow
def test_what_failed_for_good_is_left_until_it_is_asked_for__row_47(grid: Any) -> None:
    folder = grid.add("lasting", "raise", kind="data")
    assert grid.run() == 1
    assert grid.run() == 1
    assert len(folder.attempts()) == 1
    assert "waiting for --retry-failed 1" in grid.output()
    grid.add("lasting")
    assert grid.run(retry_failed=True) == 0


@BOTH_STARTS
def test_secrets_of_the_environment_stand_in_no_file_and_in_no_output__row_50(
    grid: Any, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", CANARY)
    monkeypatch.setenv("SOME_TEXT", TOKEN)
    grid.add("named", "leak", variable="MY_API_KEY")
    grid.add("formed", "leak", variable="SOME_TEXT")
    assert grid.run(start=start) == 1
    places = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("refused: ***" in path.read_text("utf-8", "replace") for path in places), "the leak did not happen"
    for path in places:
        text = path.read_bytes()
        assert CANARY.encode() not in text, path
        assert TOKEN.encode() not in text, path


@pytest.mark.slow
@BOTH_STARTS
def test_a_grid_goes_on_with_other_jobs_and_ends_the_same__row_75(
    grid: Any, start: str, wait: Callable[..., Any]
) -> None:
    def fill() -> None:
        for number in range(4):
            grid.add(f"job-{number}", stages=STAGES)
        grid.add("job-2", "sleep", stages=STAGES)

    first = grid.results
    fill()
    process = grid.start(start=start)
    wait((grid.folder("job-2", 0).path / "marker-started").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    before = [name for name, state in grid.events() if state == "done"]
    (grid.folder("job-2", 0).path / "marker-go").touch()
    grid.spec = {"machine": {"jobs": 2, "n_cores": 2}}
    assert grid.run(start=start) == 0
    after = [name for name, state in grid.events() if state == "done"]
    assert after[: len(before)] == before
    assert len(set(after)) == len(after) == 12
    grid.results = ResultsFolder(first.path.with_name("undisturbed"))
    fill()
    (grid.folder("job-2", 0).path).mkdir(parents=True)
    (grid.folder("job-2", 0).path / "marker-go").touch()
    assert grid.run(start=start) == 0
    assert results_of(first) == results_of(grid.results)


def results_of(results: ResultsFolder) -> dict[str, bytes]:
    return {
        path.relative_to(results.path).as_posix(): path.read_bytes()
        for pattern in ("result.json", "metrics.json", "manifest.json")
        for path in results.path.rglob(pattern)
    }
