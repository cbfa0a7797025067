"""Chains that a real Slurm ends before their first stage has begun, or takes twice."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from sft.runs.chains import Submission, SubmittedTry, read
from tests.faults.conftest import marker
from tests.faults.test_detach import slurm_says
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

NOT_THE_PROBE = "case $SLURM_JOB_NAME in sft-probe*) ;; *) {do} ;; esac"


@pytest.fixture(autouse=True)
def _on_slurm(slurm_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in slurm_environment.items():
        monkeypatch.setenv(variable, value)


def test_a_signal_before_the_chain_listens_uses_up_no_retry(grid: Any, tmp_path: Path) -> None:
    running = grid.add("running", stages=("infer", "evaluate"))
    once = NOT_THE_PROBE.format(do=f"mkdir {tmp_path}/once && kill -TERM $$")
    assert grid.run(executor="slurm", executor_options={"setup": once}, retries=0) == 0
    assert grid.states() == {"running": "done"}
    assert len(running.attempts()) == 2


def test_a_time_that_is_always_too_short_to_begin_ends_and_says_what_to_write(grid: Any) -> None:
    running = grid.add("running", stages=("infer", "evaluate"))
    always = NOT_THE_PROBE.format(do="kill -TERM $$")
    assert grid.run(executor="slurm", executor_options={"setup": always}, retries=0) == 1
    assert grid.states() == {"running": "timeout"}
    error = grid.status("running", 0).error
    assert error.kind == "timeout"
    assert "before its stage had begun" in error.message
    assert error.message in grid.output()
    assert error.message.endswith("write a longer limit (--executor-option time=MINUTES)")
    assert len(running.attempts()) == 4


TWICE = """#!/bin/sh
script=$(cat)
case "$*" in *sft-probe*|*sft-test*) echo "$script" | {real} "$@"; exit ;; esac
for word in "$@"; do case $word in --output=*) log=${{word#--output=}} ;; esac; done
echo "$script" | {real} "$@" > {first} || exit
until [ -d "$(dirname "$log")/chain.taken" ]; do sleep 0.1; done
echo "$script" | {real} "$@"
"""
"""An sbatch whose first answer is lost: it asks again, and says what the second submission is called."""


def test_a_chain_that_was_taken_twice_runs_once(grid: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that nobody knows of runs first; the other leaves it alone, and the runner looks after the first."""
    (tmp_path / "bin").mkdir()
    first = tmp_path / "first"
    program = tmp_path / "bin" / "sbatch"
    program.write_text(TWICE.format(real=shutil.which("sbatch"), first=first))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    running = grid.add("running", "sleep", stages=("infer", "evaluate"))
    process = grid.start(executor="slurm", retries=0)
    tried = SubmittedTry(running.attempt(1).path)
    wait_until(marker(running, "started").exists)
    wait_until(lambda: (record := read(tried.submission, Submission)) is not None and record.id is not None)
    record = read(tried.submission, Submission)
    assert record is not None
    wait_until(lambda: slurm_says(["squeue", "-h", "-t", "all", "-j", str(record.id), "-o", "%T"]) == "FAILED")
    assert slurm_says(["squeue", "-h", "-j", first.read_text().strip(), "-o", "%T"]) == "RUNNING"
    assert not tried.ended.exists()
    marker(running, "go").touch()
    assert process.wait(180) == 0
    assert grid.states() == {"running": "done"}
    assert len(running.attempts()) == 1
