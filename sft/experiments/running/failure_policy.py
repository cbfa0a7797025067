"""What follows from a failure: whether the job is tried again, in this run or a later one, and whether the run starts
anything more; pure.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sft.exceptions import ErrorKind
from sft.experiments.running.settings import OnOutOfMemory
from sft.runs.records import STAGES, StageName, State, StatusRecord
from sft.runs.states import is_own_failure
from sft.wording import without_numbers

PASSING: frozenset[ErrorKind] = frozenset({"network", "oom_host", "killed", "node_lost", "timeout"})
"""Kinds that may be gone a moment later."""

MAX_PREEMPTED = 20

MAX_UNBEGUN = 3
"""Further tries after ends before a stage had begun because its time was over: more of the same limit do not help."""

MAX_MEMORY_STEPS = 8

MAX_DELAY_SECONDS = 300.0

ALONE_ON_GPU, ALONE = 1, 2
"""Turns of the schedule: after the jobs that run side by side, first those that need a GPU for themselves."""

MAX_CRASHES = 5

CRASHES: tuple[ErrorKind, ...] = ("crash", "no_result")

MAX_ALIKE = 5
"""Exceptions with the same text, numbers aside, at one stage without any of its jobs done between them."""

SAFE = "Finished experiments are safe; free space and run the same command."


@dataclass(frozen=True)
class Tries:
    """What a job has used up in this run, and how it is tried next."""

    passing: int = 0
    preempted: int = 0
    unbegun: int = 0
    memory: int = 0
    memory_step: int = 0
    own_gpus: bool = False
    alone: bool = False

    @property
    def turn(self) -> int:
        """Its turn in the schedule."""
        return ALONE if self.alone else ALONE_ON_GPU if self.own_gpus else 0


@dataclass(frozen=True)
class End:
    """How a try ended without a result."""

    state: State
    kind: ErrorKind
    had_company: bool = False
    """Whether other jobs ran meanwhile."""

    shared_gpu: bool = False
    """Whether other jobs used its GPU meanwhile."""

    at_loading: bool = False
    """Whether memory ran out before there was a batch."""


@dataclass(frozen=True)
class Retry:
    """A further try."""

    tries: Tries
    delay: float = 0.0
    """Seconds until it may start."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a run tries again."""

    retries: int = 1
    on_oom: OnOutOfMemory = "ladder"
    backoff_seconds: float = 5.0
    """Before the first retry of a passing fault; doubled before each further one."""

    def next_try(self, tries: Tries, end: End, can_shrink: Callable[[int], bool]) -> Retry | None:
        """The next try of a job, None when it has failed.

        Args:
            tries: what it has used up.
            end: how the last try ended.
            can_shrink: whether the stage knows how to need less memory at a step of its ladder.
        """
        if end.state == "interrupted":
            return None  # somebody cancelled it on the cluster, and wants it gone
        if end.state == "preempted":
            return self._after_unbegun(tries) if end.kind == "timeout" else self._after_preemption(tries)
        if end.kind == "oom_gpu":
            if end.shared_gpu and not tries.own_gpus:
                return Retry(replace(tries, own_gpus=True))
            return None if end.at_loading else self._smaller(tries, can_shrink)
        if end.kind == "oom_host" and not end.at_loading and not (end.had_company and tries.passing < self.retries):
            return self._smaller(tries, can_shrink) or self._after_passing(tries, end)
        return self._after_passing(tries, end) if end.kind in PASSING else None

    def _after_preemption(self, tries: Tries) -> Retry | None:
        if tries.preempted >= MAX_PREEMPTED:
            return None
        return Retry(replace(tries, preempted=tries.preempted + 1), self._delay(tries.preempted))

    def _after_unbegun(self, tries: Tries) -> Retry | None:
        if tries.unbegun >= MAX_UNBEGUN:
            return None
        return Retry(replace(tries, unbegun=tries.unbegun + 1), self._delay(tries.unbegun))

    def _after_passing(self, tries: Tries, end: End) -> Retry | None:
        if tries.passing >= self.retries:
            return None
        alone = tries.alone or end.kind in ("oom_host", "killed")
        return Retry(replace(tries, passing=tries.passing + 1, alone=alone), self._delay(tries.passing))

    def _smaller(self, tries: Tries, can_shrink: Callable[[int], bool]) -> Retry | None:
        step = tries.memory_step + 1
        if self.on_oom == "fail" or tries.memory >= MAX_MEMORY_STEPS or not can_shrink(step):
            return None
        return Retry(replace(tries, memory=tries.memory + 1, memory_step=step))

    def _delay(self, used: int) -> float:
        return min(self.backoff_seconds * 2.0**used, MAX_DELAY_SECONDS)


def first_tries(status: StatusRecord | None, stage: StageName) -> Tries:
    """Where a job goes on that an earlier run left: with as little memory as it had, unless it had failed."""
    if status is None or status.stage != stage or is_own_failure(status, stage):
        return Tries()
    return Tries(memory_step=status.memory_step)


class Halt:
    """Takes the failures of a run in their order; those of jobs that no experiment waits for stop nothing.

    Where a disk is full for anything but an export, all stops.
    """

    def __init__(self, *, fail_fast: bool) -> None:
        self._fail_fast = fail_fast
        self._crashes = 0
        self._alike: dict[StageName, tuple[str, int]] = {}
        """Stage -> the text of its last exceptions, and how many there were."""
        self.reason: str | None = None
        """Why nothing more is started; None while there is no reason."""
        self.machine: str | None = None
        """What the machine must change."""

    def went_on(self, stage: StageName | None = None) -> None:
        """A job made a step, or was done, at the stage that is named."""
        self._crashes = 0
        if stage is not None:
            self._alike.pop(stage, None)

    def tried(self, status: StatusRecord, *, made_progress: bool) -> None:
        """A try ended without a result.

        Args:
            status: what it left.
            made_progress: whether its stage had got to its first step.
        """
        error = status.error
        if status.stage not in STAGES:
            return
        if made_progress or error is None or error.kind not in CRASHES:
            self._crashes = 0
            return
        self._crashes += 1
        if self._crashes >= MAX_CRASHES:
            self._because(f"every experiment crashes on start: {error.message}")

    def failed(self, status: StatusRecord) -> None:
        """A job failed for good."""
        if status.error is not None and status.error.kind == "disk_full":
            if status.stage == "export":  # it is as large as a model, and leaves its space to the others
                self.machine = self.machine or status.error.message
            else:
                self.no_space(status.error.message)
        if status.stage not in STAGES:
            return
        if status.error is not None and status.error.kind == "exception":
            self._count_alike(status.stage, status.error.message)
        if self._fail_fast:
            self._because("stopped after the first failure (--fail-fast)")

    def _count_alike(self, stage: StageName, message: str) -> None:
        text = without_numbers(message)
        known, count = self._alike.get(stage, (text, 0))
        self._alike[stage] = (text, count + 1 if known == text else 1)
        if self._alike[stage][1] >= MAX_ALIKE:
            self._because(f"every experiment fails at {stage} in the same way: {message}")

    def no_space(self, message: str) -> None:
        """A disk is full."""
        told = message if message.endswith(".") else f"{message}."
        self.machine = self.machine or f"{told} {SAFE}"
        self._because("nothing more was started, because a disk is full")

    def _because(self, reason: str) -> None:
        self.reason = self.reason or reason
