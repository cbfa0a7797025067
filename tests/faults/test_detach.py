"""Runs that leave their stages to a cluster, and come back: on processes of this machine, and on a real Slurm."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from sft.runs.chains import Ended, Submission, SubmittedTry, read
from sft.runs.files import JobFolder
from sft.runs.states import standing_of
from tests.faults.conftest import marker
from tests.support.waiting import wait_until

Living = Callable[[], dict[int, str]]
ENDING = 180.0


@pytest.fixture
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an executor that is ready."""
    name = str(request.param)
    if name == "slurm":
        for variable, value in request.getfixturevalue("slurm_environment").items():
            monkeypatch.setenv(variable, value)
    return name


on_clusters = pytest.mark.parametrize(
    "where", ["processes", pytest.param("slurm", marks=pytest.mark.slow)], indirect=True
)
on_slurm = pytest.mark.parametrize("where", [pytest.param("slurm", marks=pytest.mark.slow)], indirect=True)


def joined(grid: Any, first: str, second: str) -> list[JobFolder]:
    """Two inferences and an evaluation of both, which are three chains; their folders."""
    grid.add("one", first, stages=("infer",), times=1)
    grid.add("two", second, stages=("infer",))
    needs = [*grid.experiments["one"], *grid.experiments["two"]]
    grid.add("both", stages=("evaluate",))
    needs[1]["needs"] = []
    grid.experiments["both"] = [*needs, *grid.experiments["both"]]
    return [grid.folder("one"), grid.folder("two"), grid.folder("both")]


def ids(folders: list[JobFolder], number: int = 1) -> list[str | None]:
    """What the cluster calls their tries."""
    found = [read(SubmittedTry(folder.attempt(number).path).submission, Submission) for folder in folders]
    return [record and record.id for record in found]


def have_ended(folders: list[JobFolder], number: int = 1) -> bool:
    return all(SubmittedTry(folder.attempt(number).path).ended.exists() for folder in folders)


def slurm_says(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@on_clusters
def test_all_is_submitted_and_the_same_run_collects_it(grid: Any, where: str) -> None:
    folders = joined(grid, "sleep", "succeed")
    assert grid.run(executor=where, detach=True) == 0
    assert f"detached: 3 chains with 3 stages submitted to {where}" in grid.output()
    wait_until(marker(folders[0], "started").exists, ENDING)
    assert standing_of(folders[0], is_locked=False).state == "running"
    assert standing_of(folders[2], is_locked=False).state == "queued"
    assert grid.run(executor=where, detach=True) == 0
    assert "nothing new to submit" in grid.output()
    marker(folders[0], "go").touch()
    wait_until(lambda: have_ended(folders), ENDING)
    assert grid.run(executor=where) == 0
    assert all(standing_of(folder, is_locked=False).state == "done" for folder in folders)
    assert [len(folder.attempts()) for folder in folders] == [1, 1, 1]


@on_slurm
def test_what_waits_for_a_failure_is_cancelled_and_goes_with_the_retry(grid: Any, where: str) -> None:
    folders = joined(grid, "fail_times", "succeed")
    assert grid.run(executor=where, detach=True) == 0
    wait_until(lambda: have_ended(folders[:2]), ENDING)
    job = ids(folders)[2]
    wait_until(lambda: slurm_says(["squeue", "-h", "-t", "all", "-j", str(job), "-o", "%T"]) == "CANCELLED", ENDING)
    assert grid.run(executor=where, detach=True) == 0
    wait_until(lambda: have_ended([folders[0], folders[2]], 2), ENDING)
    assert grid.run(executor=where) == 0
    assert all(standing_of(folder, is_locked=False).state == "done" for folder in folders)
    assert [len(folder.attempts()) for folder in folders] == [2, 1, 2]


@on_slurm
def test_a_job_that_is_requeued_is_tried_again_and_never_runs_twice(
    grid: Any, where: str, no_process_left: Living
) -> None:
    """Sites requeue jobs that asked not to be; it is the same job then, which starts again two minutes later."""
    running = grid.add("running", "save_on_term", stages=("infer", "evaluate"))
    process = grid.start(executor=where, retries=0)
    wait_until(marker(running, "working").exists, ENDING)
    job = str(ids([running])[0])
    subprocess.run(["scontrol", "update", f"JobId={job}", "Requeue=1"], check=True)
    subprocess.run(["scontrol", "requeue", job], check=True)
    wait_until(lambda: len(running.attempts()) == 2, ENDING)
    told = read(SubmittedTry(running.attempt(1).path).ended, Ended)
    assert told is not None
    wait_until(lambda: len([1 for words in no_process_left().values() if "--chain" in words]) == 1, ENDING)
    wait_until(
        lambda: slurm_says(["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"]) in ("FAILED", "COMPLETED"), 400
    )
    assert len(running.attempts()) == 2
    process.terminate()
    process.wait(ENDING)
