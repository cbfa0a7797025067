import time
from pathlib import Path

import pytest

from sft.experiments.executors import guard
from sft.experiments.executors.handle import Escalation, LocalHandle, Submission
from sft.experiments.executors.protocol import Lease
from sft.runs.files import JobFolder
from sft.runs.records import ErrorRecord

FAR = 1e6


class FakeProcess:
    pid = 4711
    code: int | None = None
    lost_guard = False

    def __init__(self) -> None:
        self.orders: list[bytes | str] = []

    def order(self, order: bytes) -> None:
        self.orders.append(order)

    def kill_guard(self) -> None:
        self.orders.append("kill_guard")


@pytest.fixture
def handle() -> LocalHandle:
    folder = JobFolder(Path("/nowhere"))
    made = LocalHandle(Submission(folder, folder.attempt(1), Lease()))
    made.process = FakeProcess()
    return made


def sent(handle: LocalHandle) -> list[bytes | str]:
    assert isinstance(handle.process, FakeProcess)
    return handle.process.orders


def test_steps_are_taken_once_each_when_their_time_has_come() -> None:
    steps = Escalation(100.0)
    assert (steps.take(99.9), steps.next_at) == ([], 100.0)
    assert (steps.take(100.0), steps.next_at) == (["kill_all"], 105.0)
    assert steps.take(104.9) == []
    assert steps.take(111.0) == ["kill_guard", "give_up"]
    assert (steps.take(FAR), steps.next_at) == ([], float("inf"))


def test_the_end_can_only_be_brought_nearer_and_only_before_the_first_step() -> None:
    steps = Escalation(100.0)
    steps.bring_nearer(200.0)
    steps.bring_nearer(50.0)
    assert steps.take(50.0) == ["kill_all"]
    steps.bring_nearer(0.0)
    assert steps.next_at == 55.0


def test_a_stop_asks_first_and_kills_after_the_grace(handle: LocalHandle) -> None:
    handle.stop(30.0)
    assert sent(handle) == [guard.STOP]
    assert not handle.escalate(time.monotonic())
    assert not handle.escalate(time.monotonic() + 30.0)
    assert handle.escalate(time.monotonic() + 40.0)
    assert sent(handle) == [guard.STOP, guard.KILL_ALL, "kill_guard"]


def test_a_second_stop_asks_no_more_and_0_kills_at_once(handle: LocalHandle) -> None:
    handle.stop(30.0)
    handle.stop(60.0)
    assert 29 < handle.due_at - time.monotonic() <= 30
    handle.stop(0.0)
    assert sent(handle) == [guard.STOP, guard.KILL_ALL]


def test_no_grace_does_not_ask(handle: LocalHandle) -> None:
    handle.stop(0.0)
    assert sent(handle) == [guard.KILL_ALL]


def test_a_job_that_has_ended_is_left_alone(handle: LocalHandle) -> None:
    handle.finish(0)
    handle.stop(30.0)
    assert (sent(handle), handle.due_at, handle.exit_code()) == ([], float("inf"), 0)


def test_the_first_error_stays(handle: LocalHandle) -> None:
    handle.error = ErrorRecord("crash", "first")
    handle.finish(-9, ErrorRecord("killed", "second"))
    assert handle.error.message == "first"


def test_stacks_are_asked_for(handle: LocalHandle) -> None:
    handle.dump_stacks()
    assert sent(handle) == [guard.DUMP_STACKS]


def test_a_job_that_waits_has_no_process(handle: LocalHandle) -> None:
    assert handle.pid == 4711
    handle.process = None
    handle.dump_stacks()
    handle.stop(1.0)
    assert handle.pid is None
    assert handle.stop_asked


def test_the_first_line_and_the_next_step_are_both_due(handle: LocalHandle) -> None:
    handle.hello_by = 5.0
    assert handle.due_at == 5.0
    handle.hello_by = FAR * FAR
    handle.stop(30.0)
    assert handle.due_at < FAR * FAR
