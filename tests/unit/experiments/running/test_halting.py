"""When a run starts nothing more."""

from typing import Any

from sft.experiments.running.failure_policy import MAX_ALIKE, MAX_CRASHES, Halt
from sft.runs.records import ErrorRecord, StatusRecord


def failed(kind: Any = "crash") -> StatusRecord:
    return StatusRecord("failed", "train", error=ErrorRecord(kind, "it broke"))


def test_a_run_goes_on_after_failures() -> None:
    halt = Halt(fail_fast=False)
    for _ in range(20):
        halt.tried(failed("data"), made_progress=False)
        halt.failed(failed("data"))
    assert (halt.reason, halt.machine) == (None, None)


def test_crashes_in_a_row_without_a_step_stop_it() -> None:
    halt = Halt(fail_fast=False)
    for _ in range(MAX_CRASHES - 1):
        halt.tried(failed(), made_progress=False)
    assert halt.reason is None
    halt.tried(failed("no_result"), made_progress=False)
    assert halt.reason == "every experiment crashes on start: it broke"


def test_a_step_a_result_or_another_failure_ends_the_row() -> None:
    def progress(halt: Halt) -> None:
        halt.tried(failed(), made_progress=True)

    def other(halt: Halt) -> None:
        halt.tried(failed("killed"), made_progress=False)

    for between in (progress, other, Halt.went_on):
        halt = Halt(fail_fast=False)
        for number in range(2 * MAX_CRASHES):
            halt.tried(failed(), made_progress=False)
            if number % (MAX_CRASHES - 1) == MAX_CRASHES - 2:
                between(halt)
        assert halt.reason is None


def test_the_same_exception_again_and_again_stops_it() -> None:
    halt = Halt(fail_fast=False)
    for number in range(MAX_ALIKE):
        assert halt.reason is None
        halt.went_on("infer")
        halt.failed(StatusRecord("failed", "evaluate", error=ErrorRecord("exception", f"no key {number}")))
    assert halt.reason == f"every experiment fails at evaluate in the same way: no key {MAX_ALIKE - 1}"


def test_other_texts_other_kinds_and_a_result_of_the_stage_do_not() -> None:
    def fail(halt: Halt, message: str = "it broke", kind: Any = "exception") -> None:
        halt.failed(StatusRecord("failed", "train", error=ErrorRecord(kind, message)))

    other, kind, done = (Halt(fail_fast=False) for _ in range(3))
    for number in range(2 * MAX_ALIKE):
        fail(other, "it broke" if number % 2 else "it fell")
        fail(kind, kind="data")
        fail(done)
        if number % 2:
            done.went_on("train")
    assert [halt.reason for halt in (other, kind, done)] == [None] * 3


def test_what_no_experiment_waits_for_stops_nothing_but_with_a_full_disk() -> None:
    halt = Halt(fail_fast=True)
    for kind in ("crash", "exception", "data"):
        for _ in range(MAX_CRASHES + MAX_ALIKE):
            status = StatusRecord("failed", "baseline", error=ErrorRecord(kind, "it broke"))
            halt.tried(status, made_progress=False)
            halt.failed(status)
    assert halt.reason is None
    halt.failed(StatusRecord("failed", "baseline", error=ErrorRecord("disk_full", "no space left")))
    assert halt.machine is not None


def test_an_export_for_which_there_is_no_room_leaves_it_to_the_others() -> None:
    halt = Halt(fail_fast=True)
    halt.failed(StatusRecord("failed", "export", error=ErrorRecord("disk_full", "a model of 2 GB")))
    assert (halt.reason, halt.machine) == (None, "a model of 2 GB")


def test_fail_fast_and_a_full_disk_stop_it() -> None:
    fast, full = Halt(fail_fast=True), Halt(fail_fast=False)
    fast.failed(failed("data"))
    full.failed(failed("disk_full"))
    assert fast.reason == "stopped after the first failure (--fail-fast)"
    assert fast.machine is None
    assert full.reason == "nothing more was started, because a disk is full"
    assert full.machine == "it broke. Finished experiments are safe; free space and run the same command."
