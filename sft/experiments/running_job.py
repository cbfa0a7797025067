"""A job while it runs: its limits, its logs, its heartbeat."""

import dataclasses
import signal
from dataclasses import dataclass, field
from pathlib import Path

from sft.experiments.attempts import Asked
from sft.experiments.display import RunningJob
from sft.experiments.executors.protocol import Handle, Outcome
from sft.experiments.limits import Sign, Watch
from sft.experiments.logs import Logs
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import AttemptFolder
from sft.runs.records import StatusRecord, read_progress

DUMP_SECONDS = 0.3
"""Between the wish for stacks and the request to end: signals that come together may overtake each other."""


@dataclass
class ActiveJob:
    """One try of a job, from its start to its end."""

    job: PlannedJob
    handle: Handle
    status: StatusRecord
    watch: Watch
    logs: Logs
    asked: Asked = field(default_factory=Asked)
    _grace: float = float("inf")
    _stop_at: float = float("inf")

    def stop(self, number: signal.Signals, grace: float) -> None:
        """End it with the run; asked again, only a shorter grace counts."""
        self.asked = dataclasses.replace(self.asked, stopped_by=self.asked.stopped_by or number)
        if grace < self._grace:
            self._grace = grace
            self.handle.stop(grace)

    @property
    def deadline(self) -> float:
        """When something is to be done about a limit; infinite once it was asked to end."""
        return self._stop_at if self.asked.why is not None else self.watch.deadline()

    def check_limits(self, now: float, grace: float) -> None:
        """End it if it is over a limit; the stacks of its threads go to its log first."""
        if self.handle.placement.pid is None and self.handle.outcome() is None:
            self.watch.wait(now)
        self.watch.hear(_sign(self.job.folder.progress), now)
        if now >= self._stop_at:
            self._stop_at = float("inf")
            self.handle.stop(grace)
        if self.asked.why is not None:
            return
        overrun = self.watch.overrun(now)
        if overrun is None:
            return
        self.asked = dataclasses.replace(self.asked, overrun=overrun)
        if self.job.is_done:
            self.handle.stop(grace)
        else:
            self.handle.dump_stacks()
            self._stop_at = now + DUMP_SECONDS

    def look(self) -> bool:
        """Cap its logs; whether its process is another one than was recorded."""
        self.logs.cap()
        before, place = self.status, self.handle.placement
        self.status = dataclasses.replace(before, pid=place.pid, start=place.start)
        return self.status != before

    @property
    def attempt(self) -> AttemptFolder:
        """The try that runs."""
        return self.handle.chain[0].attempt

    @property
    def outcome(self) -> Outcome:
        """How it ended.

        Raises:
            RuntimeError: it has not.
        """
        outcome = self.handle.outcome()
        if outcome is None:
            raise RuntimeError(f"{self.job.folder.path} still runs")
        return outcome

    def shown(self, now: float) -> RunningJob:
        """As the display gets it."""
        return RunningJob(self.job, self.status, read_progress(self.job.folder.progress), self.watch.seconds(now))

    @property
    def made_progress(self) -> bool:
        """Whether its stage got to a first step."""
        progress = read_progress(self.job.folder.progress)
        return progress is not None and progress.step > 0


def _sign(path: Path) -> Sign:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino
