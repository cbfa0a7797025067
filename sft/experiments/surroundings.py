"""What a run finds around it, and what is known of stages; tests put their own in its place."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sft.experiments.logs import LogSize
from sft.experiments.schedule import CostOf, unknown_cost
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import JobRecord, StatusRecord
from sft.runs.secrets_masking import mask, secret_values

HasMemoryStep = Callable[[JobRecord, int], bool]
"""Whether a job can need less memory at a step of its ladder."""


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
