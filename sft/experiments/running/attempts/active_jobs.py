"""The jobs that were submitted and have not ended: looked at now and then, and ended when it is time."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from sft.experiments.executors.protocol import Handle
from sft.experiments.running.attempts.attempt import ActiveJob, Limits, Watch
from sft.experiments.running.display import RunningJob
from sft.experiments.running.log_files import Logs, LogSize
from sft.pipeline.jobs import PlannedJob
from sft.processes.signals import StopSignals
from sft.runs.records import StatusRecord

STOPPING = "{name}: stopping {count} running, at most {grace:g} s; once more ends them at once"


class ActiveJobs:
    """Holds them by the folders of their jobs."""

    def __init__(self, limits: Limits, grace: float, log_size: LogSize) -> None:
        """
        Args:
            limits: of each.
            grace: seconds between the request to end and the kill.
            log_size: of their logs.
        """
        self._limits = limits
        self._grace = grace
        self._log_size = log_size
        self._jobs: dict[Path, ActiveJob] = {}
        self.next_limit = float("inf")
        """No job is over a limit before."""
        self._asked_grace = float("inf")
        """Within which everything was asked to end; infinite before that."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self._jobs)

    @property
    def folders(self) -> Collection[Path]:
        """Of their jobs."""
        return self._jobs

    def add(self, job: PlannedJob, handle: Handle, status: StatusRecord, now: float) -> None:
        """Look after a job that was submitted.

        Args:
            job: the job.
            handle: of the try.
            status: what is known of it so far.
            now: when that was.
        """
        watch = Watch(self._limits, job.record.stage, now)
        logs = Logs(handle.job.attempt, self._log_size)
        active = self._jobs[job.folder.path] = ActiveJob(job, handle, status, watch, logs)
        self.next_limit = min(self.next_limit, active.deadline)

    def pop(self, handle: Handle) -> ActiveJob:
        """Take out a job that has ended, or was not taken."""
        return self._jobs.pop(handle.job.folder.path)

    def look(self) -> Iterator[tuple[ActiveJob, StatusRecord]]:
        """Those that got on since the last look, each with its status before; logs that grew too long are cut."""
        for active in self._jobs.values():
            before = active.status
            if active.look():
                yield active, before

    def shown(self, now: float) -> list[RunningJob]:
        """Those that have a place, as the display gets them."""
        return [active.shown(now) for active in self._jobs.values() if active.status.state != "queued"]

    def check_limits(self, now: float) -> None:
        """End what is over a limit."""
        for active in self._jobs.values():
            active.check_limits(now, self._grace)
        self.next_limit = min((active.deadline for active in self._jobs.values()), default=float("inf"))

    def heed(self, stops: StopSignals, say: Callable[[str], None]) -> bool:
        """Ask all to end with the run; whether that is news to them.

        Args:
            stops: the signals that have come.
            say: called with a line for the user.
        """
        if stops.first is None:
            return False
        grace = 0.0 if stops.at_once else self._grace
        stops.heeded = True
        if grace >= self._asked_grace:
            return False  # nothing was started since
        if self._asked_grace == float("inf") and self._jobs:
            say(STOPPING.format(name=stops.first.name, count=len(self._jobs), grace=grace))
        self._asked_grace = grace
        for active in self._jobs.values():
            active.stop(stops.first, grace)
        return True
