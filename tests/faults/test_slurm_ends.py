"""Chains that a real Slurm ends before their first stage has begun."""

from pathlib import Path
from typing import Any

import pytest

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
