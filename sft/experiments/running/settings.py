"""How a grid is run, and what a run finds on the machine; nothing of it is in any id."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from sft.exceptions import UserError
from sft.experiments.executors.options import ExecutorOptions, StartChoice
from sft.experiments.running.log_files import LogSize
from sft.experiments.running.schedule import CostOf, unknown_cost
from sft.pipeline.jobs import Goal, PlannedJob
from sft.runs.records import JobRecord, StatusRecord
from sft.runs.secrets_masking import mask, secret_values

OnOutOfMemory = Literal["ladder", "fail"]

HasMemoryStep = Callable[[JobRecord, int], bool]
"""Whether a job can need less memory at a step of its ladder."""


@dataclass(frozen=True)
class RunRequest:
    """What one command wants of a plan."""

    goal: Goal
    sets_grid: bool = False
    """Whether this plan becomes the folder's grid, in place of what was there."""
    adds_to_grid: bool = True
    """Whether its experiments stand on the folder's boards."""
    trains: bool = True
    """Whether missing adapters are trained, or looked for."""
    tracker: str | None = None
    """Where the results are logged after the last job."""


@dataclass(frozen=True)
class RunSettings(ExecutorOptions):
    """The options of `run-experiments`."""

    timeout: float | None = None
    """Seconds a stage may take; default no limit."""

    stall_timeout: float | None = None
    """Seconds a stage may take without progress; default no limit."""

    retries: int = 1
    """Further tries of a stage that failed for a passing reason."""

    on_oom: OnOutOfMemory = "ladder"
    """What follows when memory runs out: a try that needs less, or failure."""

    fail_fast: bool = False
    """Start nothing more after the first failure."""

    retry_failed: bool = False
    """Run again what failed in an earlier run and would fail the same way."""

    reuse: tuple[Path, ...] = ()
    """Other results folders, whose finished stages are taken from there."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: one is out of its range; the message names the option.
        """
        least = {"jobs": 1, "jobs_per_gpu": 1, "retries": 0, "grace": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and not (minimum <= value < float("inf")):
                raise UserError(f"{_option(name)} {value}: must be at least {minimum}")
        for name in ("timeout", "stall_timeout", "start_timeout", "fork_timeout"):
            value = getattr(self, name)
            if value is not None and not (0 < value < float("inf")):
                raise UserError(f"{_option(name)} {value:g}: must be more than 0 seconds")
        for name, allowed in (("start", get_args(StartChoice)), ("on_oom", get_args(OnOutOfMemory))):
            if getattr(self, name) not in allowed:
                raise UserError(f"{_option(name)} {getattr(self, name)!r}: must be one of {', '.join(allowed)}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def no_memory_step(_record: JobRecord, _step: int) -> bool:
    """The ladder of jobs that have none."""
    return False


def masking(environment: Mapping[str, str]) -> Callable[[str], str]:
    """Takes credentials, those in these variables and those of a known form, out of a text."""
    secrets = secret_values(environment)
    return lambda text: mask(text, secrets)


@dataclass(frozen=True)
class Surroundings:
    """Beside the settings, which a user chooses."""

    cost: CostOf = unknown_cost
    """Seconds a job is expected to take."""

    learn: Callable[[PlannedJob, StatusRecord], None] = lambda _job, _status: None
    """Takes in what a finished job took, so that `cost` knows more."""

    has_memory_step: HasMemoryStep = no_memory_step
    mask: Callable[[str], str] = field(default_factory=lambda: masking(os.environ))
    """Takes the secrets out of a text."""

    log_size: LogSize = field(default_factory=LogSize)
    tick_seconds: float = 1.0
    """Between two looks at what runs."""

    backoff_seconds: float = 5.0
    """Before the first retry of a passing fault."""

    board_seconds: float = 10.0
    """At least, between two refreshes of the board."""
