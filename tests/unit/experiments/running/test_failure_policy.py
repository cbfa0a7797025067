"""What is tried again, how often, and with how much memory."""

from typing import Any

import pytest

from sft.experiments.running.failure_policy import (
    ALONE,
    ALONE_ON_GPU,
    MAX_MEMORY_STEPS,
    MAX_PREEMPTED,
    MAX_UNBEGUN,
    PASSING,
    End,
    RetryPolicy,
    Tries,
    first_tries,
)
from sft.runs.records import ErrorRecord, StatusRecord
from sft.runs.states import LASTING, runs_again


def always(_step: int) -> bool:
    return True


def never(_step: int) -> bool:
    return False


def tried(policy: RetryPolicy, end: End, can_shrink: Any = never, most: int = 100) -> list[Tries]:
    """The further tries of a job that always ends so."""
    tries, found = Tries(), []
    while (retry := policy.next_try(tries, end, can_shrink)) is not None and len(found) < most:
        tries = retry.tries
        found.append(tries)
    return found


@pytest.mark.parametrize("kind", sorted(PASSING))
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_passing_kinds_are_tried_again_as_often_as_said(kind: Any, retries: int) -> None:
    assert len(tried(RetryPolicy(retries), End("failed", kind))) == retries


@pytest.mark.parametrize(
    "kind", sorted((LASTING | {"crash", "no_result", "disk_full", "checkpoint", "refused"}) - {"oom_gpu"} - PASSING)
)
def test_other_kinds_are_not(kind: Any) -> None:
    assert tried(RetryPolicy(9), End("failed", kind), always) == []


def test_the_wait_doubles() -> None:
    policy, tries, delays = RetryPolicy(retries=9, backoff_seconds=5.0), Tries(), []
    while (retry := policy.next_try(tries, End("failed", "network"), never)) is not None:
        tries = retry.tries
        delays.append(retry.delay)
    assert delays == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


def test_preemption_has_its_own_cap() -> None:
    assert len(tried(RetryPolicy(retries=0), End("preempted", "killed"))) == MAX_PREEMPTED


def test_a_time_limit_that_is_always_too_short_to_begin_uses_up_no_retry_and_ends() -> None:
    """Preemptions between them are counted apart."""
    policy, unbegun = RetryPolicy(retries=0), End("preempted", "timeout")
    assert len(tried(policy, unbegun)) == MAX_UNBEGUN
    assert policy.next_try(Tries(preempted=MAX_PREEMPTED), unbegun, never) is not None
    assert policy.next_try(Tries(unbegun=MAX_UNBEGUN), End("preempted", "killed"), never) is not None


@pytest.mark.parametrize("kind", ["killed", "oom_host"])
def test_what_memory_may_have_ended_is_tried_again_alone(kind: Any) -> None:
    (retry,) = tried(RetryPolicy(1), End("failed", kind, had_company=True))
    assert (retry.alone, retry.turn) == (True, ALONE)
    assert not tried(RetryPolicy(1), End("failed", "network"))[0].alone


def test_gpu_memory_first_asks_for_the_whole_gpu_then_climbs_the_ladder() -> None:
    shared = End("failed", "oom_gpu", shared_gpu=True)
    first = RetryPolicy(0).next_try(Tries(), shared, always)
    assert first is not None
    assert (first.tries.own_gpus, first.tries.memory_step, first.tries.turn) == (True, 0, ALONE_ON_GPU)
    second = RetryPolicy(0).next_try(first.tries, End("failed", "oom_gpu"), always)
    assert second is not None
    assert (second.tries.memory_step, second.delay) == (1, 0.0)


def test_the_ladder_ends_where_the_stage_says_and_has_its_own_budget() -> None:
    own = End("failed", "oom_gpu")
    assert [tries.memory_step for tries in tried(RetryPolicy(0), own, lambda step: step <= 3)] == [1, 2, 3]
    assert len(tried(RetryPolicy(0), own, always)) == MAX_MEMORY_STEPS
    assert tried(RetryPolicy(0, on_oom="fail"), own, always) == []


@pytest.mark.parametrize(("kind", "tries"), [("oom_gpu", 0), ("oom_host", 1)])
def test_a_model_that_finds_no_room_is_not_tried_with_smaller_batches(kind: Any, tries: int) -> None:
    """Other processes may have had the host's memory, which passes; a GPU is leased, so its memory is the job's."""
    found = tried(RetryPolicy(retries=1), End("failed", kind, at_loading=True), always)
    assert [step.memory_step for step in found] == [0] * tries


def test_a_model_that_finds_no_room_on_a_shared_gpu_gets_it_alone() -> None:
    shared = End("failed", "oom_gpu", shared_gpu=True, at_loading=True)
    retry = RetryPolicy(0).next_try(Tries(), shared, always)
    assert retry is not None
    assert (retry.tries.own_gpus, retry.tries.memory_step) == (True, 0)
    assert RetryPolicy(0).next_try(retry.tries, End("failed", "oom_gpu", at_loading=True), always) is None


def test_host_memory_is_tried_alone_first_then_with_less_then_once_more() -> None:
    policy = RetryPolicy(retries=1)
    first = policy.next_try(Tries(), End("failed", "oom_host", had_company=True), always)
    assert first is not None
    assert (first.tries.alone, first.tries.memory_step) == (True, 0)
    second = policy.next_try(first.tries, End("failed", "oom_host"), always)
    assert second is not None
    assert (second.tries.alone, second.tries.memory_step) == (True, 1)
    assert policy.next_try(first.tries, End("failed", "oom_host"), never) is None
    at_once = policy.next_try(Tries(), End("failed", "oom_host"), always)
    assert at_once is not None
    assert (at_once.tries.memory_step, at_once.tries.passing) == (1, 0)
    assert len(tried(policy, End("failed", "oom_host"), never)) == 1


@pytest.mark.parametrize(
    ("state", "kind", "again"),
    [
        ("failed", "data", False),
        ("failed", "diverged", False),
        ("failed", "oom_gpu", False),
        ("timeout", "timeout", False),
        ("failed", "node_lost", True),
        ("timeout", "stall", False),
        ("failed", "killed", True),
        ("failed", "network", True),
        ("failed", "disk_full", True),
        ("failed", "crash", True),
        ("interrupted", "killed", True),
        ("preempted", "killed", True),
        ("pending", "data", True),
        ("running", "data", True),
    ],
)
def test_what_a_later_run_takes_up_by_itself(state: Any, kind: Any, again: bool) -> None:
    assert runs_again(StatusRecord(state, "train", error=ErrorRecord(kind, "x")), "train") is again


def test_the_same_command_tries_a_failed_export_again() -> None:
    assert runs_again(StatusRecord("failed", "export", error=ErrorRecord("model", "x")), "export")


def test_a_failure_of_another_stage_is_not_the_jobs_own() -> None:
    assert runs_again(StatusRecord("failed", "train", error=ErrorRecord("data", "x")), "infer")


def test_a_stopped_job_goes_on_with_as_little_memory_as_it_had() -> None:
    for state in ("interrupted", "preempted", "running", "pending"):
        status: Any = StatusRecord(state, "train", memory_step=2)
        assert first_tries(status, "train") == Tries(memory_step=2)
    failed = StatusRecord("failed", "train", memory_step=2, error=ErrorRecord("oom_gpu", "x"))
    assert first_tries(failed, "train") == first_tries(None, "train") == Tries()
