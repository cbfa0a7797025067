"""How a job stands, judged by its files: what every view of a results folder goes by.

The manifest counts more than the status, because it is written once the results are there. A status says what its
runner last knew. Where no runner holds the folder's lock, `running` means that this runner was killed, or that it left
the job to a cluster; then the files that the chain writes there tell how the job stands.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from sft.exceptions import ErrorKind
from sft.runs.chains import Begun, Ended, Submission, SubmittedTry, read
from sft.runs.files import JobFolder
from sft.runs.manifest import ListedFile, finished_files
from sft.runs.records import ErrorRecord, StageName, State, StatusRecord, read_error, read_status, stage_of
from sft.wording import one_line

JobState = State | Literal["lost", "damaged"]
"""A state that a runner writes, or one that only a reader of the files can find out."""

WAITING: Final = "waiting for --retry-failed"

ExperimentState = JobState | Literal["waiting", "not started", "waiting for --retry-failed"]
"""How an experiment stands in a run: it may also wait for its turn, or be left as an earlier run left it."""

FINISHED: tuple[State, ...] = ("done", "predicted")
"""The results are there, and the seconds of the status are how long the stage takes."""

FAILED: tuple[State, ...] = ("failed", "timeout")
"""The stage had its time and left no result."""

STOPPED: tuple[State, ...] = ("interrupted", "preempted")
"""The stage was asked to end; it did not fail by itself."""

UNDER_WAY: tuple[State, ...] = ("running", "starting", "queued")
"""A runner has submitted the stage and waits for its end; the furthest first."""

UNTRIED: tuple[State, ...] = ("pending", "pruned")
"""No try has ended, or its results were deleted on purpose."""

WITHOUT_RESULT: tuple[JobState, ...] = (*FAILED, "damaged", "lost", *STOPPED)
"""A try has ended, and its result is missing or damaged; in the order in which they are counted."""

ORDER: tuple[JobState, ...] = (*FINISHED, *UNDER_WAY, *WITHOUT_RESULT, "pending")
"""The order in which the experiments of a results folder are counted."""

METRICS_FILE = "result/metrics.json"
PREDICTIONS = "result/predictions."

LOST = ErrorRecord("killed", "its runner ended without recording how")

DAMAGED = ErrorRecord("no_result", "its result files are not those of its manifest")

_READERS_ERRORS: Mapping[JobState, ErrorRecord] = {"lost": LOST, "damaged": DAMAGED}

LASTING: frozenset[ErrorKind] = frozenset(
    {"config", "data", "model", "tokenizer", "diverged", "oom_gpu", "exception", "timeout", "stall"}
)
"""Kinds of errors that the same command would meet again: a later run leaves such jobs alone, unless told to retry."""


@dataclass(frozen=True)
class Standing:
    """How one job stands."""

    state: JobState
    status: StatusRecord | None = None
    """None where there is none, or none that can be read."""
    files: Mapping[str, ListedFile] = field(default_factory=dict)
    """What its valid manifest lists, by name."""
    is_unreadable: bool = False
    """Whether there is a status that cannot be read."""

    @property
    def error(self) -> ErrorRecord | None:
        """Why there is no result; None where there is one, or the job has not ended."""
        return error_in(self.state, self.status)

    @property
    def is_taken_up(self) -> bool:
        """Whether the next run takes up an experiment that stands so, without being told to retry."""
        if self.state not in FAILED or self.status is None:
            return self.state not in FINISHED
        return runs_again(self.status, self.status.stage)


def error_in(state: JobState, status: StatusRecord | None) -> ErrorRecord | None:
    """Why a job has no result: what its state alone tells, else what its runner wrote; None where it has one."""
    if state in FINISHED:
        return None
    return _READERS_ERRORS.get(state) or (status.error if status is not None else None)


def reason(status: StatusRecord | None, state: JobState | None = None) -> str:
    """One line on why a job stands where it stands.

    Args:
        status: as its runner wrote it; None where there is none that can be read.
        state: as its files tell it, where that differs from the state in the status.
    """
    judged = state or (status.state if status is not None else "pending")
    error = error_in(judged, status)
    if error is None:
        return judged
    return f"{'' if status is None else f'at {status.stage}: '}{one_line(error.message)}"


def standing_of(folder: JobFolder, *, is_locked: bool) -> Standing:
    """How the job of a folder stands.

    Args:
        folder: the job's folder; it need not be there.
        is_locked: whether a runner holds the lock of the results folder.

    Raises:
        MachineError: a newer version wrote its files.
    """
    if not folder.path.is_dir():
        return Standing("pending")
    # The status first: a job that ends in between is told by its manifest.
    status = read_status(folder.status)
    files = finished_files(folder)
    unreadable = status is None and folder.status.exists()
    if status is not None and status.state in UNDER_WAY and not files and not is_locked:
        told = status_on_cluster(folder, status)
        if told is not None:
            return Standing(told.state, told)
    tried = (status.attempt > 0) if status is not None else bool(folder.attempts())
    return Standing(derive_state(files, status, tried=tried, is_locked=is_locked), status, files, unreadable)


def derive_state(files: Collection[str], status: StatusRecord | None, *, tried: bool, is_locked: bool) -> JobState:
    """The state of a job.

    Args:
        files: what its valid manifest lists; empty where it has none.
        status: None where there is none that can be read.
        tried: whether there was a try.
        is_locked: whether a runner holds the lock of the results folder.
    """
    if files:
        is_prediction = METRICS_FILE not in files and any(name.startswith(PREDICTIONS) for name in files)
        return "predicted" if is_prediction else "done"
    if status is None:
        return "lost" if tried and not is_locked else "pending"
    if status.state in UNDER_WAY and not is_locked:
        return "lost"
    return "damaged" if status.state in FINISHED else status.state


def experiment_standing(own: Standing, stages: Mapping[str, Standing]) -> Standing:
    """How an experiment stands, whose result the job in its own folder makes from earlier stages.

    Args:
        own: of its evaluate stage; until that has run, a copy of the standing of the earlier stage that stopped it.
        stages: of its train and infer stages by the name under which they are read, in this order.
    """
    if own.state in FINISHED:
        return own
    for state in UNDER_WAY:
        at_work = next((stage for stage in (*stages.values(), own) if stage.state == state), None)
        if at_work is not None:
            return at_work
    stopped = next((stage for stage in stages.values() if stage.state not in (*FINISHED, *UNTRIED)), None)
    if stopped is not None:
        return stopped
    stage = None if own.status is None else own.status.stage
    blamed = [standing for name, standing in stages.items() if stage_of(name) == stage]
    is_over = bool(blamed) and all(standing.state in FINISHED for standing in blamed)
    return Standing("pending", is_unreadable=own.is_unreadable) if is_over else own


def is_own_failure(status: StatusRecord, stage: StageName) -> bool:
    """Whether a job's status tells of its own failure, not of the failure of a job that it waited for."""
    return status.stage == stage and status.state in ("failed", "timeout") and status.error is not None


def runs_again(status: StatusRecord, stage: StageName) -> bool:
    """Whether a later run takes up a job that is not done, without being told to retry.

    An export is always taken up: trying it again costs no other stage, and its experiment counts as done, which would
    hide that the export is missing.
    """
    if stage == "export":
        return True
    return not (is_own_failure(status, stage) and status.error is not None and status.error.kind in LASTING)


def submitted_to(folder: JobFolder) -> str | None:
    """The cluster that the last try of a job was submitted to; None where it ran on the runner's machine."""
    found = _last_submission(folder)
    return None if found is None else found[1].executor


def executor_of(folder: JobFolder) -> str | None:
    """The cluster that has a job and goes on with it when the runner has ended; None where none does."""
    found = _last_submission(folder)
    if found is None:
        return None
    tried, submission = found
    goes_on = submission.outlives_runner and read(tried.ended, Ended) is None
    return submission.executor if goes_on else None


def status_on_cluster(folder: JobFolder, status: StatusRecord) -> StatusRecord | None:
    """The status of a job that was under way when its runner ended: where it waits, where it runs, or how it ended.

    Args:
        folder: of the job, without a valid manifest.
        status: as its runner wrote it.

    Returns:
        None where the job has ended with its runner, or nobody knows.
    """
    found = _last_submission(folder)
    if found is None or not found[1].outlives_runner:
        return None
    tried = found[0]
    ended = read(tried.ended, Ended)
    if ended is None:
        begun = read(tried.begun, Begun)
        state: State = "queued" if begun is None else "running"
        return dataclasses.replace(status, state=state, pid=None if begun is None else begun.pid)
    if not ended.was_begun:
        return dataclasses.replace(status, state="pending")
    error = read_error(tried.error) or ended.reason
    if error is None or ended.stopped_by is not None:
        return None
    log = tried.stderr.relative_to(folder.path.parents[1 if folder.path.parent.name == "experiments" else 2])
    return dataclasses.replace(status, state="failed", error=error, seconds=ended.seconds, log=log.as_posix())


def _last_submission(folder: JobFolder) -> tuple[SubmittedTry, Submission] | None:
    """The last try of a job and how it was submitted; None where it was not, or that cannot be read."""
    tries = folder.attempts()
    if not tries:
        return None
    tried = SubmittedTry(tries[-1].path)
    submission = read(tried.submission, Submission)
    return None if submission is None else (tried, submission)
