"""One try of a job: its folder before it starts, and what its end means."""

import dataclasses
import signal
from dataclasses import dataclass
from pathlib import Path

from sft.experiments.executors.protocol import Outcome
from sft.experiments.outcomes import error_of
from sft.pipeline.jobs import PlannedJob
from sft.runs.attempts import begin_attempt
from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.records import ErrorRecord, State, StatusRecord, read_error, read_json_or_none, write_record
from sft.runs.stopping import STOPPED_EXIT_CODE

_KILLED_CODES = (-signal.SIGKILL, 128 + signal.SIGKILL)


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
            return dataclasses.replace(running, state="failed", error=outcome.error)
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
    for path in (folder.training, folder.inference):
        record = read_json_or_none(path)
        environment = record.get("environment") if isinstance(record, dict) else None
        if isinstance(environment, dict) and isinstance(environment.get("device"), str):
            return str(environment["device"])
    return None


def log_of(attempt: AttemptFolder, results: Path) -> str:
    """Its stderr log as it stands in a status."""
    return attempt.stderr.relative_to(results).as_posix()
