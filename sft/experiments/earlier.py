"""What earlier runs left of the jobs that are to run, and which of it is taken up again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sft.experiments.retries import Tries, first_tries, runs_again
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import StatusRecord, read_status


@dataclass
class Earlier:
    """The jobs of a run by what became of them before."""

    statuses: dict[Path, StatusRecord] = field(default_factory=dict)
    """What was written of them."""
    tries: dict[Path, Tries] = field(default_factory=dict)
    """How each job begins."""
    left: dict[Path, StatusRecord] = field(default_factory=dict)
    """Failed, and not tried again."""
    lost: list[PlannedJob] = field(default_factory=list)
    """Ran when their runner was killed."""
    blocked: list[PlannedJob] = field(default_factory=list)
    """Did not run, because of a failure that may be gone."""


def look_back(needed: Mapping[Path, PlannedJob], *, retry_failed: bool) -> Earlier:
    """Read the statuses of the jobs that are to run.

    Args:
        needed: those jobs.
        retry_failed: whether failures that would come again are tried too.
    """
    found = Earlier()
    for path, job in needed.items():
        status, stage = read_status(job.folder.status), job.record.stage
        found.tries[path] = first_tries(status, stage)
        if status is None:
            continue
        found.statuses[path] = status
        if status.stage != stage:
            found.blocked.append(job)
        elif status.state == "running":
            found.lost.append(job)
        elif not retry_failed and not runs_again(status, stage):
            found.left[path] = status
    return found
