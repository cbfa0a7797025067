"""Ends of tasks, as the process that asks Ray tells of them."""

from typing import Any

import pytest

from sft.experiments.executors.ray.ends import seen_of


def error(*names: str) -> dict[str, Any]:
    return {"error": [*names, "RayError", "Exception"], "text": "\n what happened\nmore"}


@pytest.mark.parametrize(
    ("told", "kind", "ended_as"),
    [
        (error("TaskCancelledError"), "killed", "interrupted"),
        (error("OutOfMemoryError"), "oom_host", "failed"),
        (error("WorkerCrashedError"), "killed", "failed"),
        (error("NodeDiedError"), "node_lost", "failed"),
        (error("OwnerDiedError", "ObjectLostError"), "node_lost", "failed"),
        (error("RuntimeEnvSetupError"), "crash", "failed"),
        ({"code": 137}, "killed", "failed"),
        ({"code": -9}, "killed", "failed"),
        ({"code": 1}, "crash", "failed"),
    ],
)
def test_an_end_has_the_kind_of_what_brought_it_about(told: dict[str, Any], kind: str, ended_as: str) -> None:
    seen = seen_of(told)
    assert seen.error is not None
    assert (seen.standing, seen.error.kind, seen.ended_as) == ("ended", kind, ended_as)


@pytest.mark.parametrize("code", [0, 75])
def test_a_chain_that_ended_by_itself_is_left_to_its_own_files(code: int) -> None:
    assert (seen_of({"code": code}).standing, seen_of({"code": code}).error) == ("ended", None)


def test_a_task_that_has_not_ended_is_queued() -> None:
    assert seen_of(None).standing == "queued"


def test_what_a_node_lacks_is_told_with_what_it_needs() -> None:
    seen = seen_of(error("OSError"))
    assert seen.error is not None
    assert seen.error.message.startswith("Ray could not run it: what happened; every node needs")
