"""What displays say of a grid and its jobs, as plain text."""

from sft.experiments.grid_progress import GridProgress, TimeLeft
from sft.experiments.outcomes import reason
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ID_DIGITS
from sft.runs.records import StatusRecord
from sft.runs.states import FAILED, STOPPED, ExperimentState
from sft.wording import duration, one_line

COUNTED: tuple[ExperimentState, ...] = ("predicted", *FAILED, *STOPPED, "running", "waiting")
"""Beside those that are done."""


def counts_text(progress: GridProgress) -> str:
    """The experiments by state: `12 of 40 done, 2 failed, 3 running, 23 waiting`."""
    counts = progress.counts
    parts = [f"{counts['done']} of {len(progress.experiments)} done"]
    return ", ".join(parts + [f"{counts[state]} {state}" for state in COUNTED if counts[state]])


def left_text(left: TimeLeft | None) -> str:
    """`about 12 min left`, or nothing while nothing is known."""
    if left is None:
        return ""
    return f"{'more than' if left.at_least else 'about'} {duration(left.seconds)} left"


def shared_name(progress: GridProgress, job: PlannedJob) -> str:
    """The name of a job's experiment, and how many more need the job: `name (+3)`."""
    others = len(progress.users(job)) - 1
    return one_line(job.record.name) + (f" (+{others})" if others > 0 else "")


def failure_line(progress: GridProgress, job: PlannedJob, status: StatusRecord) -> str | None:
    """`FAILED name [id8] at train: why`, or `RETRY ...` for a job that was put back.

    None for what did not fail, or fails only because of another job.
    """
    if not progress.was_started(job) or (status.state not in FAILED and status.state != "pending"):
        return None
    name = next(iter(progress.users(job)), job.record.name)
    jobs = progress.experiments.get(name) or (job,)
    word = "RETRY" if status.state == "pending" else "FAILED"
    key = jobs[-1].record.key[:ID_DIGITS]
    return f"{word} {shared_name(progress, job)} [{key}] {reason(status)}"
