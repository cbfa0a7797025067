"""Runs planned jobs one after the other: a loop without threads; a failure is recorded and the rest goes on."""

import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Protocol

from sft.experiments.executors.executor import Executor, Handle
from sft.experiments.outcomes import error_of
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import AttemptFolder, JobFolder, ResultsFolder
from sft.runs.records import ErrorRecord, State, StatusRecord, read_json_or_none, write_record

WAIT_SECONDS = 0.5
GRACE_SECONDS = 30.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


class Display(Protocol):
    """Shows how the jobs go."""

    def started(self, job: PlannedJob) -> None:
        """A job was started."""

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job ended, or could not start because of `status.error`."""


@dataclass
class RunSummary:
    """What became of the jobs of one run."""

    ran: int = 0
    interrupted: int = 0
    reused: int = 0
    failed: dict[Path, StatusRecord] = field(default_factory=dict)
    """Job folder -> its status."""
    stopped_by: signal.Signals | None = None


class Runner:
    """Runs jobs through an executor and alone writes `status.json` and `events.jsonl`."""

    def __init__(
        self, results: ResultsFolder, executor: Executor, display: Display, refresh_board: Callable[[], None]
    ) -> None:
        self._results = results
        self._executor = executor
        self._display = display
        self._refresh_board = refresh_board
        self._stop: signal.Signals | None = None

    def run(self, jobs: Sequence[PlannedJob]) -> RunSummary:
        """Run every job that is not done, each after those it needs; equal folders run once."""
        unique: dict[Path, PlannedJob] = {}
        for job in jobs:
            unique.setdefault(job.folder.path, job)
        previous = {number: signal.signal(number, self._request_stop) for number in STOP_SIGNALS}
        summary = RunSummary()
        try:
            for job in unique.values():
                if self._stop is not None:
                    break
                self._run_one(job, summary)
                self._refresh_board()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        summary.stopped_by = self._stop
        return summary

    def _run_one(self, job: PlannedJob, summary: RunSummary) -> None:
        if job.is_done:
            summary.reused += 1
            return
        blocker = next((summary.failed[need] for need in job.needs if need in summary.failed), None)
        if blocker is not None:
            self._record_end(job, blocker, summary)
            return
        status = self._attempt(job)
        if status.state in ("interrupted", "preempted"):
            summary.interrupted += 1
        else:
            summary.ran += 1
        self._record_end(job, status, summary)
        self._display.ended(job, status)

    def _attempt(self, job: PlannedJob) -> StatusRecord:
        """Run the job in a fresh process and wait for its end."""
        number = len(job.folder.attempts()) + 1
        attempt = job.folder.attempt(number)
        job.folder.path.mkdir(parents=True, exist_ok=True)
        job.folder.manifest.unlink(missing_ok=True)
        write_record(job.folder.job, job.record)
        began = time.monotonic()
        handle = self._executor.submit(job.folder, attempt)
        status = StatusRecord("running", job.record.stage, attempt=number, started=_now(), pid=handle.pid)
        self._record(job.folder, status)
        self._display.started(job)
        self._wait(handle)
        ended = replace(status, ended=_now(), seconds=round(time.monotonic() - began, 3))
        return self._judge(job, attempt, handle, ended)

    def _wait(self, handle: Handle) -> None:
        while handle.exit_code() is None:
            self._executor.ended(WAIT_SECONDS)
            if self._stop is not None and handle.exit_code() is None:
                handle.stop(GRACE_SECONDS)

    def _judge(self, job: PlannedJob, attempt: AttemptFolder, handle: Handle, status: StatusRecord) -> StatusRecord:
        if job.is_done:
            predicted = job.record.stage == "evaluate" and not job.record.with_metrics
            return replace(status, state="predicted" if predicted else "done", device=_device(job.folder))
        log = str(attempt.stderr.relative_to(self._results.path))
        if self._stop is not None:
            state: State = "interrupted" if self._stop == signal.SIGINT else "preempted"
            error = ErrorRecord("killed", f"stopped by {self._stop.name}")
            return replace(status, state=state, error=error, log=log)
        return replace(status, state="failed", error=error_of(attempt, handle.exit_code() or 0), log=log)

    def _record_end(self, job: PlannedJob, status: StatusRecord, summary: RunSummary) -> None:
        self._record(job.folder, status)
        if status.state not in ("done", "predicted"):
            summary.failed[job.folder.path] = status

    def _record(self, folder: JobFolder, status: StatusRecord) -> None:
        write_record(folder.status, status)
        event = {
            "time": _now(),
            "job": str(folder.path.relative_to(self._results.path)),
            "stage": status.stage,
            "state": status.state,
            "error": None if status.error is None else status.error.kind,
        }
        with self._results.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def _request_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stop = signal.Signals(number)


def _device(folder: JobFolder) -> str | None:
    """The device that the stage recorded; none where no model ran."""
    records = (read_json_or_none(path) for path in (folder.training, folder.inference))
    return next((record["environment"]["device"] for record in records if isinstance(record, dict)), None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
