"""Processes that are played, as the executor of this machine starts them, and jobs for them; nothing is started."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sft.experiments.executors.handle import Submission
from sft.experiments.executors.protocol import Lease
from sft.experiments.running.board_refresh import BoardFailure
from sft.experiments.running.display import RunningJob
from sft.experiments.running.schedule import Workload
from sft.experiments.running.summary import RunFacts
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, JobRecord, StartMode, StatusRecord, read_job, write_record
from sft.terminal.run_summary import opening_line

MOST_WAITS = 20_000

Play = Callable[[Submission], int | None]


def succeed(submission: Submission) -> int:
    """A worker that does what its job says."""
    job = submission.folder
    record = read_job(job.job)
    result = job.metrics if record.with_metrics and record.stage == "evaluate" else job.path / "result.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text("{}")
    write_manifest(job, [result])
    return 0


def run_on(_submission: Submission) -> None:
    """A worker that ends when it is told to."""


def fail(kind: Any = "data", message: str = "no rows") -> Play:
    """A worker that fails."""

    def play(submission: Submission) -> int:
        write_record(submission.attempt.error, ErrorRecord(kind, message))
        return 11

    return play


def fail_times(times: int, kind: Any = "network") -> Play:
    """A worker that fails so often and then succeeds."""

    def play(submission: Submission) -> int:
        return fail(kind)(submission) or 0 if int(submission.attempt.path.name) <= times else succeed(submission)

    return play


class FakeHandle:
    pid: int | None = 4711
    start: StartMode = "fresh"

    def __init__(self, submission: Submission, code: int | None) -> None:
        self.submission = submission
        self.code = code
        self.error: ErrorRecord | None = None
        self.stopped: list[float] = []
        self.dumped = 0
        self.heeds = True
        """Whether it ends when it is asked to."""

    def exit_code(self) -> int | None:
        return self.code

    def stop(self, grace: float) -> None:
        self.stopped.append(grace)
        if self.code is None and (self.heeds or not grace):
            self.code = 75 if grace else -signal.SIGKILL

    def dump_stacks(self) -> None:
        self.dumped += 1


class FakeExecutor:
    """Plays each job when it is submitted; the slots are free again at the next `ended`."""

    def __init__(self, plays: dict[str, Play] | None = None) -> None:
        self.plays = plays or {}
        self.handles: list[FakeHandle] = []
        self.while_waiting: Callable[[], None] = lambda: None
        self.timeouts: list[float] = []
        self.together: list[set[str]] = []
        """Which jobs ran at each wait."""
        self.closed = 0
        self._running: list[FakeHandle] = []

    @property
    def order(self) -> list[str]:
        return [handle.submission.folder.path.name for handle in self.handles]

    @property
    def leases(self) -> dict[str, Lease]:
        return {handle.submission.folder.path.name: handle.submission.lease for handle in self.handles}

    def submit(self, job: Submission) -> FakeHandle:
        job.attempt.stderr.write_text("first\nlast words\n")
        handle = FakeHandle(job, self.plays.get(job.folder.path.name, succeed)(job))
        self.handles.append(handle)
        self._running.append(handle)
        return handle

    def ended(self, timeout: float) -> Sequence[FakeHandle]:
        self.timeouts.append(timeout)
        assert len(self.timeouts) < MOST_WAITS, "the loop does not end"
        self.together.append({handle.submission.folder.path.name for handle in self._running})
        self.while_waiting()
        ended = [handle for handle in self._running if handle.code is not None]
        self._running = [handle for handle in self._running if handle.code is None]
        return ended

    def close(self) -> None:
        self.closed += 1


class FakeBoard:
    """A board that is written at once, or never."""

    def __init__(self, failure: BoardFailure | None = None, *, is_written: bool = True) -> None:
        self._failure = failure
        self._is_written = is_written
        self.ended = False

    def is_over(self, _seconds: float = 0.0) -> bool:
        return self._is_written

    def failure(self) -> BoardFailure | None:
        return self._failure

    def end(self) -> None:
        self.ended = True


class Shown:
    """A display that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.done: set[Path] = set()
        self.ticks: list[Sequence[RunningJob]] = []
        self.closings = 0

    def began(self, work: Workload) -> None:
        self.done = set(work.idle)

    def opened(self, found: RunFacts) -> None:
        self.said.append(opening_line(found))

    def started(self, job: PlannedJob, status: StatusRecord) -> None:
        self.lines.append(f"{job.folder.path.name} {status.state}")

    def ticked(self, running: Sequence[RunningJob]) -> None:
        self.ticks.append(running)

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        self.lines.append(f"{job.folder.path.name} {status.state}")

    def say(self, line: str) -> None:
        self.said.append(line)

    def closed(self) -> None:
        self.closings += 1


def job(results: ResultsFolder, stage: Any, key: str, *needs: PlannedJob, name: str = "a", **more: Any) -> PlannedJob:
    folder = JobFolder(results.experiments / key) if stage == "evaluate" else results.stage(stage, key)
    record = JobRecord(stage, key, name, **{"config": {}, "config_folder": "", "fingerprints": {}, **more})
    return PlannedJob(folder, record, tuple(need.folder.path for need in needs))


def chain(results: ResultsFolder, suffix: str = "", **more: Any) -> list[PlannedJob]:
    """The jobs of an experiment that trains."""
    name = f"experiment{suffix}"
    train = job(results, "train", f"t{suffix}", name=name, **more)
    infer = job(results, "infer", f"i{suffix}", train, name=name, **more)
    return [train, infer, job(results, "evaluate", f"e{suffix}", infer, train, name=name, **more)]
