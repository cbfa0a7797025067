"""How a run looks on the terminal: one line when a job starts and one when it ends."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TextIO

from sft.experiments.outcomes import last_line, reason
from sft.experiments.runner import RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ResultsFolder
from sft.runs.records import StatusRecord


class LineDisplay:
    """Writes timestamped lines."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def started(self, job: PlannedJob) -> None:
        """Say that a job was started."""
        self._line(f"{job.record.stage:<8} {job.record.name} started")

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        """Say how a job ended."""
        took = "" if status.seconds is None else f" in {status.seconds:.1f} s"
        why = "" if status.error is None else f": {reason(status)}"
        self._line(f"{job.record.stage:<8} {job.record.name} {status.state}{took}{why}")

    def _line(self, text: str) -> None:
        self._stream.write(f"[{datetime.now():%H:%M:%S}] {text}\n")
        self._stream.flush()


def closing_lines(summary: RunSummary, failed: dict[str, StatusRecord], results: ResultsFolder) -> list[str]:
    """What is said at the end: how many stages ran, what failed and why, and how to see and repeat it.

    Args:
        summary: of the run.
        failed: experiment name -> status of each experiment that did not reach its goal.
        results: the results folder.
    """
    interrupted = f", {summary.interrupted} interrupted" if summary.interrupted else ""
    lines = [
        f"{_count(summary.ran, 'stage')} run, {summary.reused} already done{interrupted}, "
        f"{_count(len(failed), 'experiment')} failed"
    ]
    for name, status in failed.items():
        lines.append(f"FAILED {name} {reason(status)}")
        if status.log is not None:
            log = results.path / status.log
            last = last_line(log)
            shown = shown_path(log)
            lines.append(f"  last line: {last}" if last else "  the log is empty")
            lines.append(f"  Log: {shown}. Again: python -m sft.worker {shown_path(log.parents[2])}")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown_path(path: Path) -> str:
    """The path as a person in this working directory would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
