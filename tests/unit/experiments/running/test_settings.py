"""The options of a run."""

from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.running.settings import RunSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jobs": 0}, "--jobs 0: must be at least 1"),
        ({"jobs_per_gpu": 0}, "--jobs-per-gpu 0: must be at least 1"),
        ({"retries": -1}, "--retries -1: must be at least 0"),
        ({"grace": -0.5}, "--grace -0.5: must be at least 0"),
        ({"grace": float("nan")}, "--grace nan: must be at least 0"),
        ({"timeout": 0}, "--timeout 0: must be more than 0 seconds"),
        ({"stall_timeout": float("inf")}, "--stall-timeout inf: must be more than 0 seconds"),
        ({"start_timeout": 0}, "--start-timeout 0: must be more than 0 seconds"),
        ({"fork_timeout": float("nan")}, "--fork-timeout nan: must be more than 0 seconds"),
        ({"start": "hot"}, "--start 'hot': must be one of auto, warm, fresh"),
        ({"on_oom": "halve"}, "--on-oom 'halve': must be one of ladder, fail"),
    ],
)
def test_a_value_out_of_range_is_told_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        RunSettings(**settings)
    assert str(error.value) == message


def test_the_defaults_and_the_edges_are_sound() -> None:
    RunSettings()
    RunSettings(jobs=1, retries=0, grace=0, timeout=0.1, stall_timeout=1)
