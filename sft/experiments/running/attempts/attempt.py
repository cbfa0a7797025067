"""One try of a job: its folder before it starts, its limits and its signs of life while it runs, and what its end
means.
"""

import dataclasses
import signal
from dataclasses import dataclass, field
from pathlib import Path

from sft.experiments.executors.protocol import Handle, Outcome
from sft.experiments.running.attempts.diagnosis import error_of
from sft.experiments.running.display import RunningJob
from sft.experiments.running.log_files import Logs
from sft.pipeline.jobs import PlannedJob
from sft.processes.signals import STOPPED_EXIT_CODE
from sft.runs.attempts import begin_attempt
from sft.runs.events import utc_now
from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.progress import read_progress
from sft.runs.records import ErrorRecord, StageName, State, StatusRecord, read_error, read_json_or_none, write_record

_KILLED_CODES = (-signal.SIGKILL, 128 + signal.SIGKILL)

DUMP_SECONDS = 0.3
"""Between the wish for stacks and the request to end: signals that come together may overtake each other."""

Sign = bytes | None
"""The content of `progress.json`, which changes with every line of its worker; None where there is none yet. Times of
files are not looked at: network disks remember them, and read a file anew when it is opened.
"""


@dataclass(frozen=True)
class Asked:
    """Why the runner asked a job to end, if it did."""

    stopped_by: signal.Signals | None = None
    overrun: ErrorRecord | None = None
    """The limit it was over."""

    @property
    def why(self) -> ErrorRecord | None:
        """The reason as an error; a limit that was passed before the run was stopped counts first."""
        if self.overrun is not None or self.stopped_by is None:
            return self.overrun
        return ErrorRecord("killed", f"stopped by {self.stopped_by.name}")

    @property
    def state(self) -> State:
        """What it makes of a job that has left no results; Ctrl-C interrupts, other signals preempt."""
        if self.overrun is not None:
            return "timeout"
        return "interrupted" if self.stopped_by == signal.SIGINT else "preempted"


def prepare(job: PlannedJob, memory_step: int) -> AttemptFolder:
    """Make the folder of the next try, which is in force from here on, with nothing around of the last one that could
    be taken for its own.

    Args:
        job: what will run.
        memory_step: how often its stage ran out of memory.
    """
    attempt = begin_attempt(job.folder)
    job.folder.manifest.unlink(missing_ok=True)
    job.folder.progress.unlink(missing_ok=True)
    write_record(job.folder.job, dataclasses.replace(job.record, memory_step=memory_step))
    return attempt


def judge(
    job: PlannedJob, attempt: AttemptFolder, outcome: Outcome, running: StatusRecord, asked: Asked
) -> StatusRecord:
    """How a try that has ended leaves its job; a valid manifest counts before everything else.

    Args:
        job: what ran.
        attempt: the try.
        outcome: how it ended, as the machine tells it.
        running: its status so far.
        asked: why it was asked to end.
    """
    if job.is_done:
        predicted = job.record.stage == "evaluate" and not job.record.with_metrics
        return dataclasses.replace(running, state="predicted" if predicted else "done", device=_device(job.folder))
    if read_error(attempt.error) is None:
        if asked.why is not None:
            return dataclasses.replace(running, state=asked.state, error=_asked_end(asked.why, outcome))
        if outcome.error is not None:
            return dataclasses.replace(running, state=outcome.ended_as, error=outcome.error)
        if outcome.code == STOPPED_EXIT_CODE:
            error = ErrorRecord("killed", "stopped by a signal that this program did not send")
            return dataclasses.replace(running, state="preempted", error=error)
    return dataclasses.replace(running, state="failed", error=error_of(attempt, outcome.code, outcome.memory))


def _asked_end(why: ErrorRecord, outcome: Outcome) -> ErrorRecord:
    """The reason, and what happened when the job did not heed it."""
    if outcome.error is not None:
        return ErrorRecord(why.kind, f"{why.message}; {outcome.error.message}")
    if outcome.code in _KILLED_CODES:
        return ErrorRecord(why.kind, f"{why.message}; it did not end when asked and was killed")
    return why


def _device(folder: JobFolder) -> str | None:
    """The device that the stage recorded; none where no model ran."""
    for path in (folder.training, folder.inference, folder.export_record):
        record = read_json_or_none(path)
        environment = record.get("environment") if isinstance(record, dict) else None
        if isinstance(environment, dict) and isinstance(environment.get("device"), str):
            return str(environment["device"])
    return None


def log_of(attempt: AttemptFolder, results: Path) -> str:
    """Its stderr log as it stands in a status."""
    return attempt.stderr.relative_to(results).as_posix()


@dataclass(frozen=True)
class Limits:
    """Seconds; None is no limit."""

    timeout: float | None = None
    """That a stage may take."""

    stall_timeout: float | None = None
    """That may pass between two changes of its progress."""


class Watch:
    """Times one try of a stage."""

    def __init__(self, limits: Limits, stage: StageName, now: float) -> None:
        self._limits = limits
        self._stage = stage
        self._began = now
        self._sign: Sign = None
        self._heard = now

    def seconds(self, now: float) -> float:
        """How long it has been running."""
        return now - self._began

    def wait(self, now: float) -> None:
        """It has no process yet: its time begins later."""
        self._began = now

    @property
    def listens(self) -> bool:
        """Whether its progress matters."""
        return self._limits.stall_timeout is not None

    def hear(self, sign: Sign, now: float) -> None:
        """Take note of its progress; a stall is counted from the worker's first line."""
        if sign != self._sign:
            self._sign = sign
            self._heard = now

    def overrun(self, now: float) -> ErrorRecord | None:
        """The limit that it is over."""
        limits = self._limits
        if limits.timeout is not None and self.seconds(now) >= limits.timeout:
            return ErrorRecord("timeout", f"{self._stage} ran longer than {limits.timeout:g} s (timeout)")
        if limits.stall_timeout is not None and self._sign is not None and now - self._heard >= limits.stall_timeout:
            stacks = "stacks of all threads are at the end of stderr.log"
            return ErrorRecord("stall", f"no progress for {limits.stall_timeout:g} s (stall_timeout); {stacks}")
        return None

    def deadline(self) -> float:
        """The moment at which the next limit may be passed; infinite without limits."""
        limits = self._limits
        moments = [float("inf")]
        if limits.timeout is not None:
            moments.append(self._began + limits.timeout)
        if limits.stall_timeout is not None and self._sign is not None:
            moments.append(self._heard + limits.stall_timeout)
        return min(moments)


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
        if self._is_queued:
            self.watch.wait(now)
            return
        if self.handle.placement.pid is None and self.handle.outcome() is None:
            self.watch.wait(now)
        if self.watch.listens:
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
        """Cap its logs; whether it got on, or its process is another one than was recorded."""
        if self._is_queued:
            return False
        self.logs.cap()
        before = self.status
        self.status = placed(before, self.handle)
        return self.status != before

    @property
    def _is_queued(self) -> bool:
        """Whether it waits as it did, so that none of its files need be looked at: thousands may."""
        return self.status.state == "queued" and self.handle.outcome() is None and self.handle.standing == "queued"

    @property
    def attempt(self) -> AttemptFolder:
        """The try that runs."""
        return self.handle.job.attempt

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


def placed(status: StatusRecord, handle: Handle) -> StatusRecord:
    """The status of a job that was submitted, with what is known by now of where it runs."""
    place = handle.placement
    state = handle.standing
    started = status.started or (None if state == "queued" else utc_now())
    gpus = place.lease.gpus or status.gpus
    return dataclasses.replace(status, state=state, started=started, pid=place.pid, start=place.start, gpus=gpus)


def _sign(path: Path) -> Sign:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
