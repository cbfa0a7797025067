"""How a run looks where there is no terminal: timestamped lines, as fit for a log."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

from sft.experiments.running.display import Display, RunningJob
from sft.experiments.running.schedule import Workload
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.summary import RunFacts
from sft.pipeline.jobs import PlannedJob
from sft.processes.quiet_stream import QuietStream
from sft.runs.records import StatusRecord
from sft.runs.states import FINISHED, reason
from sft.terminal.live.progress import GridProgress, counts_text, failure_line, left_text, shared_name
from sft.terminal.run_summary import opening_line
from sft.wording import duration, one_line

INTERVAL_SECONDS = 30.0
"""Between two lines on the progress of the same job."""


def display_for(stream: TextIO | None = None, costs: StageCosts | None = None) -> Display:
    """The display that fits a stream: a live table on a terminal, else lines.

    Args:
        stream: where it writes; default: stderr.
        costs: learns what stages take and tells what is left; default: knows nothing yet.
    """
    stream = stream or sys.stderr
    if stream is None or not _is_terminal(stream):
        return LineDisplay(stream, costs)
    from sft.terminal.live.table_display import LiveDisplay

    return LiveDisplay(stream, costs or StageCosts())


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
    except ValueError:
        return False


class LineDisplay:
    """Writes a line when a job starts, every 30 seconds while it runs, and when it ends."""

    def __init__(self, stream: TextIO | None = None, costs: StageCosts | None = None) -> None:
        """
        Args:
            stream: where it writes; default: stderr.
            costs: learns what stages take.
        """
        self._out = QuietStream(stream or sys.stderr)
        self._progress = GridProgress(costs or StageCosts())
        self._told_at: dict[Path, float] = {}

    def began(self, work: Workload) -> None:
        """Take the grid."""
        self._progress.began(work)

    def opened(self, found: RunFacts) -> None:
        """Say what earlier runs left."""
        self.say(opening_line(found))

    def started(self, job: PlannedJob, status: StatusRecord) -> None:
        """Say that a job was submitted, or got on."""
        self._progress.started(job, status)
        self._told_at[job.folder.path] = 0.0
        where = f" on {', '.join(status.gpus)}" if status.gpus else ""
        self._job_line(job, f"{'started' if status.state == 'running' else status.state}{where}")

    def ticked(self, running: Sequence[RunningJob]) -> None:
        """Say how far those jobs are of which nothing was said for a while."""
        self._progress.ticked(running)
        for item in running:
            path = item.job.folder.path
            if item.seconds - self._told_at.get(path, 0.0) >= INTERVAL_SECONDS:
                self._told_at[path] = item.seconds
                self._job_line(item.job, self._how_far(item))

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        """Say how a job ended; one that was not begun is told of by the failure it follows from."""
        self._progress.ended(job, status)
        failure = failure_line(self._progress, job, status)
        if failure is not None:
            self.say(f"{failure}{self._after()}")
        elif self._progress.was_started(job) and status.state != "pending":
            took = f" in {duration(status.seconds)}" if status.seconds is not None else ""
            why = f": {reason(status)}" if status.error is not None else ""
            self._job_line(job, f"{status.state}{took}{why}{self._after() if status.state in FINISHED else ''}")

    def say(self, line: str) -> None:
        """Write a line that belongs to no job."""
        self._out.write(f"[{datetime.now():%H:%M:%S}] {one_line(line)}\n")

    def closed(self) -> None:
        """Nothing is left to write."""

    def _how_far(self, item: RunningJob) -> str:
        told, left = item.progress, self._progress.seconds_left_of(item)
        parts = [
            f"{told.step}/{told.total}" if told is not None and told.total else item.status.state,
            f"loss {told.loss:.4g}" if told is not None and told.loss is not None else "",
            duration(item.seconds),
            f"about {duration(left)} left" if left is not None else "",
        ]
        return ", ".join(part for part in parts if part)

    def _after(self) -> str:
        left = left_text(self._progress.time_left())
        return f" ({counts_text(self._progress)}{f'; {left}' if left else ''})"

    def _job_line(self, job: PlannedJob, text: str) -> None:
        self.say(f"{job.record.stage:<8} {shared_name(self._progress, job)} {text}")
