"""A job of this machine, and the steps by which one that does not end is ended."""

import time
from dataclasses import dataclass
from typing import Literal, Protocol

from sft.experiments.executors import guard
from sft.experiments.executors.protocol import JobAttempt, Lease
from sft.runs.records import ErrorRecord, StartMode

Step = Literal["kill_all", "kill_guard", "give_up"]
STEPS: tuple[tuple[float, Step], ...] = ((0.0, "kill_all"), (5.0, "kill_guard"), (10.0, "give_up"))
"""Seconds after the end of the grace, and what is done then."""


@dataclass(frozen=True)
class Submission(JobAttempt):
    """One try of one job, with its share of this machine."""

    lease: Lease


class StartedProcess(Protocol):
    """A worker under its guard, however it was started."""

    pid: int | None
    code: int | None
    lost_guard: bool

    def order(self, order: bytes) -> None:
        """Give the guard an order."""

    def kill_guard(self) -> None:
        """Kill the guard, and with it the worker."""


class Escalation:
    """When which step is due; the times are those of one clock."""

    def __init__(self, kill_at: float) -> None:
        self._kill_at = kill_at
        self._taken = 0

    def bring_nearer(self, kill_at: float) -> None:
        """Kill at this time if it is earlier; a step that was taken stays taken."""
        if self._taken == 0:
            self._kill_at = min(self._kill_at, kill_at)

    @property
    def next_at(self) -> float:
        """When the next step is due, infinite after the last."""
        return self._kill_at + STEPS[self._taken][0] if self._taken < len(STEPS) else float("inf")

    def take(self, now: float) -> list[Step]:
        """The steps that are due and were not taken before."""
        due = []
        while self.next_at <= now:
            due.append(STEPS[self._taken][1])
            self._taken += 1
        return due


class LocalHandle:
    """The process of a job on this machine."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.start: StartMode = "fresh"
        self.error: ErrorRecord | None = None
        self.process: StartedProcess | None = None
        """None while the job waits for the server of warm starts."""
        self.began = 0.0
        """When its process was started."""
        self.hello_seconds = 0.0
        """In which the worker must have written its first line."""
        self.hello_by: float | None = None
        """When that time is over; None once it has, or nobody asks."""
        self.restarts = False
        """Whether it starts fresh when this process has ended."""
        self.stop_asked = False
        self._escalation: Escalation | None = None
        self._code: int | None = None

    @property
    def kind(self) -> str:
        """What jobs have in common that import the same: their stage has a folder for them."""
        return self.submission.folder.path.parent.name

    def await_hello(self, seconds: float) -> None:
        """Its process starts now, and has so much time until its first line."""
        self.began, self.hello_seconds = time.monotonic(), seconds
        self.hello_by = self.began + seconds

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while it is not known."""
        return None if self.process is None else self.process.pid

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the job runs."""
        return self._code

    def stop(self, grace: float) -> None:
        """Ask the job to end; it is killed `grace` seconds later, by the executor's `ended`."""
        if self._code is not None:
            return
        if not self.stop_asked and grace > 0:
            self._order(guard.STOP)
        self.stop_asked = True
        self.kill(grace)

    def kill(self, grace: float = 0.0) -> None:
        """Kill the job with all its descendants in `grace` seconds, without asking it to end."""
        kill_at = time.monotonic() + max(0.0, grace)
        if self._escalation is None:
            self._escalation = Escalation(kill_at)
        self._escalation.bring_nearer(kill_at)
        self.escalate(time.monotonic())

    def dump_stacks(self) -> None:
        """Have the worker write the stacks of all its threads to its stderr."""
        self._order(guard.DUMP_STACKS)

    def escalate(self, now: float) -> bool:
        """Take the steps that are due; whether the job is given up."""
        steps = [] if self._escalation is None else self._escalation.take(now)
        for step in steps:
            if step == "kill_all":
                self._order(guard.KILL_ALL)
            elif step == "kill_guard" and self.process is not None:
                self.process.kill_guard()
        return "give_up" in steps

    @property
    def due_at(self) -> float:
        """When something must be done about it though nothing happens."""
        hello_by = float("inf") if self.hello_by is None else self.hello_by
        return min(hello_by, float("inf") if self._escalation is None else self._escalation.next_at)

    @property
    def is_being_killed(self) -> bool:
        """Whether its end, whenever it comes, was wanted."""
        return self._escalation is not None

    def restart(self) -> None:
        """Forget the process that was."""
        self.process, self.restarts, self._escalation = None, False, None

    def finish(self, code: int, error: ErrorRecord | None = None) -> None:
        """The job has ended; an error that is known already stays."""
        self._code = code
        self.error = self.error or error

    def _order(self, order: bytes) -> None:
        if self.process is not None:
            self.process.order(order)
