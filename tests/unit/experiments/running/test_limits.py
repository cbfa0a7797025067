"""The time limits of a stage."""

import pytest

from sft.experiments.running.attempt import Limits, Watch

NEVER = float("inf")


def test_without_limits_nothing_is_over() -> None:
    watch = Watch(Limits(), "train", now=0.0)
    assert (watch.overrun(1e9), watch.deadline()) == (None, NEVER)


def test_the_time_of_a_stage_counts_from_its_start() -> None:
    watch = Watch(Limits(timeout=3600.0), "train", now=100.0)
    assert watch.deadline() == 3700.0
    assert watch.overrun(3699.9) is None
    error = watch.overrun(3700.0)
    assert error is not None
    assert (error.kind, error.message) == ("timeout", "train ran longer than 3600 s (timeout)")


def test_a_stall_counts_from_the_first_line_and_from_every_change() -> None:
    watch = Watch(Limits(stall_timeout=900.0), "infer", now=0.0)
    watch.hear(None, 1.0)
    assert (watch.overrun(5000.0), watch.deadline()) == (None, NEVER)
    watch.hear((1, 1), 5000.0)
    watch.hear((1, 1), 5800.0)
    assert (watch.overrun(5899.0), watch.deadline()) == (None, 5900.0)
    watch.hear((2, 1), 5899.0)
    assert watch.overrun(6798.0) is None
    error = watch.overrun(6799.0)
    assert error is not None
    assert (error.kind, error.message) == (
        "stall",
        "no progress for 900 s (stall_timeout); stacks of all threads are at the end of stderr.log",
    )


def test_the_wait_for_a_process_does_not_count() -> None:
    watch = Watch(Limits(timeout=10.0), "train", now=0.0)
    watch.wait(7.0)
    assert (watch.seconds(9.0), watch.deadline(), watch.overrun(16.9)) == (2.0, 17.0, None)


@pytest.mark.parametrize(("limits", "deadline"), [(Limits(5.0, 9.0), 5.0), (Limits(9.0, 5.0), 6.0)])
def test_the_nearer_limit_counts(limits: Limits, deadline: float) -> None:
    watch = Watch(limits, "train", now=0.0)
    watch.hear((1, 1), 1.0)
    assert watch.deadline() == deadline
