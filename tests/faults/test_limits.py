"""A stage that hangs, and one that ends at the very moment at which its time is over."""

from typing import Any

import pytest

from sft.runs.manifest import is_done

BOTH_STARTS = pytest.mark.parametrize("start", ["warm", pytest.param("fresh", marks=pytest.mark.slow)])
RACE_SECONDS = 0.5


@BOTH_STARTS
def test_a_stage_that_takes_too_long_is_ended_with_its_stacks__row_11(grid: Any, start: str) -> None:
    hanging = grid.add("hanging", "sleep", stages=("train", "infer"))
    grid.add("other")
    assert grid.run(start=start, timeout=0.5) == 1
    assert grid.states() == {"hanging": "timeout", "other": "done"}
    assert grid.status("hanging").error.message == "train ran longer than 0.5 s (timeout)"
    log = hanging.attempts()[0].stderr.read_text()
    assert "stub.py" in log
    assert "most recent call first" in log


@BOTH_STARTS
def test_a_stage_without_progress_is_ended_with_its_stacks__row_11(grid: Any, start: str) -> None:
    hanging = grid.add("hanging", "progress_then_hang")
    assert grid.run(start=start, stall_timeout=0.3) == 1
    status = grid.status("hanging")
    assert (status.state, status.error.kind) == ("timeout", "stall")
    assert "no progress for 0.3 s (stall_timeout)" in status.error.message
    assert "most recent call first" in hanging.attempts()[0].stderr.read_text()
    assert "FAILED hanging" in grid.output()
    assert "no progress for 0.3 s" in grid.output()


@pytest.mark.parametrize(("start", "option"), [("fresh", "start_timeout"), ("warm", "fork_timeout")])
def test_a_start_that_takes_longer_than_the_option_allows_is_ended(grid: Any, start: str, option: str) -> None:
    grid.add("late")
    assert grid.run(start=start, retries=0, **{option: 0.001}) == 1
    error = grid.status("late").error
    assert error.kind == "crash"
    assert "within 0.001 s" in error.message or "does not answer" in error.message
    assert f"--{option.replace('_', '-')}" in error.message or "does not answer" in error.message


@pytest.mark.slow
def test_a_hanging_stage_that_ignores_the_request_is_killed_after_the_grace__row_11(grid: Any) -> None:
    grid.add("hanging", "ignore_term")
    assert grid.run(timeout=0.5, grace=0.2) == 1
    message = "infer ran longer than 0.5 s (timeout); it did not end when asked and was killed"
    assert grid.status("hanging").error.message == message


@pytest.mark.parametrize(
    ("start", "repeats"),
    [("warm", 3), *(pytest.param(*item, marks=pytest.mark.slow) for item in (("warm", 50), ("fresh", 10)))],
)
def test_what_is_finished_counts_more_than_the_limit__row_12(grid: Any, start: str, repeats: int) -> None:
    """The stages end around the limit, a few milliseconds apart."""
    for number in range(repeats):
        ends = RACE_SECONDS - 0.15 * number / repeats
        grid.add(f"race-{number}", "sleep", seconds=ends)
    grid.spec = {"machine": {"jobs": 4}}
    grid.run(start=start, timeout=RACE_SECONDS, grace=5.0)
    states = grid.states()
    assert set(states.values()) <= {"done", "timeout"}
    for name, state in states.items():
        assert is_done(grid.folder(name)) == (state == "done"), name
        assert (grid.status(name).error is None) == (state == "done"), name
