"""A results folder that the nodes of a real Slurm do not see, and a job that somebody cancels there."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.conftest import marker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
ENDING = 180.0


@pytest.fixture(autouse=True)
def _on_slurm(slurm_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in slurm_environment.items():
        monkeypatch.setenv(variable, value)


def test_a_folder_that_nodes_do_not_see_is_found_before_anything_starts(grid: Any) -> None:
    """The run is in a mount namespace of its own, as a login node is that has its own disk there."""
    grid.add("a")
    place = grid.results.path
    place.mkdir()
    below = ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {place} && exec "$@"', "sh"]
    assert grid.start(executor="slurm", below=below).wait(ENDING) == 5
    told = grid.output().splitlines()[-1]
    assert told.startswith(
        f"{place}: a job of slurm on localhost does not see this results folder (Slurm could not open its log"
    )
    assert not list(place.iterdir())
    assert [line for line in queue() if "sft-infer" in line or "sft-a" in line] == []


def test_what_was_shown_is_not_asked_again(grid: Any) -> None:
    for name in ("a", "b"):
        grid.add(name)
        assert grid.run(executor="slurm") == 0
    assert len(list(grid.results.probes.iterdir())) == 1
    assert grid.output().count("sft-probe") == 0


def test_what_somebody_cancels_is_interrupted_and_not_tried_again(
    grid: Any, no_process_left: Callable[[], dict[int, str]]
) -> None:
    running = grid.add("running", "save_on_term", stages=("infer", "evaluate"))
    process = grid.start(executor="slurm")
    wait_until(marker(running, "working").exists, ENDING)
    (job,) = [line.split("|")[0] for line in queue() if "sft-running-infer" in line and "RUNNING" in line]
    subprocess.run(["scancel", job], check=True)
    process.wait(ENDING)
    assert grid.status("running", 0).state == "interrupted"
    assert len(running.attempts()) == 1
    wait_until(lambda: not no_process_left(), ENDING)


def queue() -> list[str]:
    words = ["squeue", "--noheader", "--states=all", "--format=%i|%j|%T"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
