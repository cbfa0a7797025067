"""What shows how a run goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sft.experiments.running.schedule import Workload
from sft.experiments.running.summary import RunFacts
from sft.pipeline.jobs import PlannedJob
from sft.runs.progress import ProgressRecord
from sft.runs.records import StatusRecord


@dataclass(frozen=True)
class RunningJob:
    """A job that runs now."""

    job: PlannedJob
    status: StatusRecord
    progress: ProgressRecord | None
    """None until its worker has said its first line."""

    seconds: float
    """Since it was started."""


class Display(Protocol):
    """Shows the jobs of a grid; all calls come from the runner's one loop."""

    def began(self, work: Workload) -> None:
        """Before the first job: the experiments, and their jobs that are to be done."""

    def opened(self, found: RunFacts) -> None:
        """After `began`, where there is something to do: what earlier runs left."""

    def started(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job was submitted, or got on: from `queued` to `running`."""

    def ticked(self, running: Sequence[RunningJob]) -> None:
        """About once a second: what has a place now; what waits in a queue stands as `started` told it."""

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job ended, or will not start because of `status.error`, or was put back to run again."""

    def say(self, line: str) -> None:
        """Show a line that belongs to no job."""

    def closed(self) -> None:
        """After the last job, also when the run was stopped."""
