"""How long a process may take to start."""

import pytest

from sft.experiments.executors.start_limits import FIRST_SECONDS, StartedBy, StartLimits


def test_what_is_written_holds_whatever_was_seen() -> None:
    limits = StartLimits(fresh=7.0, fork=3.0)
    limits.took("fresh", 600.0, "train")
    limits.took("server", 600.0)
    assert [limits.seconds("fresh", "train"), limits.seconds("server"), limits.seconds("fork", "train")] == [7, 7, 3]


@pytest.mark.parametrize(("took", "allowed"), [(8.0, 120.0), (400.0, 2000.0)])
def test_a_fresh_start_is_measured_by_the_first_of_its_stage(took: float, allowed: float) -> None:
    limits = StartLimits()
    assert limits.seconds("fresh", "infer") == FIRST_SECONDS
    limits.took("fresh", took, "infer")
    limits.took("fresh", 1.0, "infer")
    assert limits.seconds("fresh", "infer") == allowed
    assert limits.seconds("fresh", "train") == FIRST_SECONDS


@pytest.mark.parametrize(
    ("server", "first_fork", "allowed"), [(3.0, 0.1, 20.0), (300.0, 0.1, 1500.0), (3.0, 40.0, 200.0)]
)
def test_a_fork_is_measured_by_the_server_and_by_the_first_of_its_stage(
    server: float, first_fork: float, allowed: float
) -> None:
    limits = StartLimits()
    assert limits.seconds("server") == FIRST_SECONDS
    limits.took("server", server)
    limits.took("fork", first_fork, "train")
    assert limits.seconds("fork", "train") == allowed
    assert limits.seconds("fork", "infer") == max(20.0, 5 * server)


@pytest.mark.parametrize("by", ["fresh", "fork", "server"])
def test_the_defaults_are_no_tighter_than_on_a_quick_machine(by: StartedBy) -> None:
    limits = StartLimits()
    assert limits.seconds(by) >= (20.0 if by == "fork" else 120.0)
