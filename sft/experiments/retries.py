"""What is tried again after it ended without a result, in this run and in a later one; pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sft.errors import ErrorKind
from sft.experiments.settings import OnOutOfMemory
from sft.runs.records import StageName, State, StatusRecord

PASSING: frozenset[ErrorKind] = frozenset({"network", "oom_host", "killed"})
"""Kinds that may be gone a moment later."""

LASTING: frozenset[ErrorKind] = frozenset(
    {"config", "data", "model", "tokenizer", "diverged", "oom_gpu", "exception", "timeout", "stall"}
)
"""Kinds that the same command would meet again: a later run leaves them as they are, unless it is told to retry."""

MAX_PREEMPTED = 20
MAX_MEMORY_STEPS = 8
MAX_DELAY_SECONDS = 300.0

ALONE_ON_GPU, ALONE = 1, 2
"""Turns of the schedule: after the jobs that run side by side, first those that need a GPU for themselves."""


@dataclass(frozen=True)
class Tries:
    """What a job has used up in this run, and how it is tried next."""

    passing: int = 0
    preempted: int = 0
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
        if end.state == "preempted":
            return self._after_preemption(tries)
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


def is_own_failure(status: StatusRecord, stage: StageName) -> bool:
    """Whether a job's status tells of its own failure, not of one it waited for."""
    return status.stage == stage and status.state in ("failed", "timeout") and status.error is not None


def runs_again(status: StatusRecord, stage: StageName) -> bool:
    """Whether a later run takes up a job that is not done, without being told to retry."""
    return not (is_own_failure(status, stage) and status.error is not None and status.error.kind in LASTING)


def first_tries(status: StatusRecord | None, stage: StageName) -> Tries:
    """Where a job goes on that an earlier run left: with as little memory as it had, unless it had failed."""
    if status is None or status.stage != stage or is_own_failure(status, stage):
        return Tries()
    return Tries(memory_step=status.memory_step)
