"""What is written of a try that has ended, and what the policy of further tries is told of it."""

import dataclasses
from pathlib import Path

from sft.experiments.running.attempts.attempt import ActiveJob, judge, log_of
from sft.experiments.running.failure_policy import End
from sft.experiments.running.log_files import Logs
from sft.experiments.running.settings import Surroundings
from sft.pipeline.jobs import PlannedJob
from sft.runs.events import utc_now
from sft.runs.records import StatusRecord


def last_status(active: ActiveJob, around: Surroundings, results: Path, now: float) -> StatusRecord:
    """How a try that has ended leaves its job, as it is written and shown.

    Args:
        active: the try.
        around: takes the secrets out of its error.
        results: the results folder.
        now: the time, for how long it ran.
    """
    outcome, place = active.outcome, active.handle.placement
    running = dataclasses.replace(active.status, pid=place.pid or active.status.pid, start=place.start)
    status = judge(active.job, active.attempt, outcome, running, active.asked)
    seconds = active.watch.seconds(now) if outcome.seconds is None else outcome.seconds
    status = dataclasses.replace(status, ended=utc_now(), seconds=round(seconds, 3))
    if status.error is None:
        return status
    error = dataclasses.replace(status.error, message=around.mask(status.error.message))
    return dataclasses.replace(status, error=error, log=log_of(active.attempt, results))


def end_of(active: ActiveJob, status: StatusRecord) -> End | None:
    """In what company a try ended; None where it ended as it was asked to, and is not to be tried again.

    Args:
        active: the try.
        status: how it left its job.
    """
    if active.asked.why is not None and status.state == active.asked.state:
        return None
    outcome = active.outcome
    return End(
        status.state,
        "exception" if status.error is None else status.error.kind,
        had_company=outcome.had_company,
        shared_gpu=outcome.shared_gpu,
        at_loading=status.error is not None and status.error.at_loading,
    )


def close_lost(job: PlannedJob, around: Surroundings) -> None:
    """Cut and mask the logs of a job whose runner was killed: nobody else looks after them.

    All of its tries, as the lost one need not be the last: somebody may have run the job by hand meanwhile.

    Args:
        job: the job.
        around: how long logs may be, and what is taken out of them.
    """
    for attempt in job.folder.attempts():
        Logs(attempt, around.log_size).close(around.mask)
