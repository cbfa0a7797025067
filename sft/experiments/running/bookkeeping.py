"""What has become of the jobs of a run, and what earlier runs left of them: what may start, what is tried again, what
cannot run any more.
"""

import dataclasses
import heapq
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sft.experiments.executors.options import LOCAL
from sft.experiments.running.display import Display
from sft.experiments.running.failure_policy import End, Halt, RetryPolicy, Tries, first_tries
from sft.experiments.running.schedule import Schedule, Workload, by_priority
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.status_writer import Journal
from sft.experiments.running.summary import RunFacts, RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.processes.garbage import without_search_for_cycles
from sft.runs.files import ResultsFolder
from sft.runs.records import StatusRecord, read_status
from sft.runs.states import FINISHED, LOST, STOPPED, UNDER_WAY, executor_of, runs_again
from sft.wording import counted

RUN_HERE = "{stages} that an earlier run left to {there} will run {here}; what {there} has of this is given up"
UNWRITTEN = "the disk is full: the last states of {count} stages could not be written. Free space and run again."


@dataclass
class Earlier:
    """The jobs of a run by what became of them before."""

    statuses: dict[Path, StatusRecord] = field(default_factory=dict)
    """What was written of them."""
    tries: dict[Path, Tries] = field(default_factory=dict)
    """How each job begins."""
    left: dict[Path, StatusRecord] = field(default_factory=dict)
    """Failed, and not tried again."""
    lost: list[PlannedJob] = field(default_factory=list)
    """Were under way when their runner was killed."""
    blocked: list[PlannedJob] = field(default_factory=list)
    """Did not run, because of a failure that may be gone."""


class Ledger:
    """Keeps the jobs of one run; every change of state goes to the disk and to the display."""

    def __init__(
        self,
        results: ResultsFolder,
        display: Display,
        settings: RunSettings,
        surroundings: Surroundings,
        changed: Callable[[], None],
    ) -> None:
        """
        Args:
            results: the results folder.
            display: shows the changes.
            settings: how the grid is run.
            surroundings: what is known of stages.
            changed: called when an experiment may look different on the board.
        """
        self._results = results
        self._display = display
        self._executor = settings.executor or LOCAL
        self._retry_failed = settings.retry_failed
        self._looks_ahead = settings.detach
        self._around = surroundings
        self._changed = changed
        self._policy = RetryPolicy(settings.retries, settings.on_oom, surroundings.backoff_seconds)
        self._journal = Journal(results, display.say)
        self._schedule = Schedule(())
        self._tries: dict[Path, Tries] = {}
        self._delayed: list[tuple[float, int, PlannedJob]] = []
        """A heap of when which job is tried again; the numbers keep equal moments apart."""
        self._n_delayed = 0
        self._summary = RunSummary()
        self.halt = Halt(fail_fast=settings.fail_fast)

    @without_search_for_cycles()
    def begin(
        self, work: Workload, adopt: Callable[[PlannedJob], Callable[[], None] | None] = lambda _job: None
    ) -> Earlier:
        """Take the jobs that are needed and what earlier runs left of them; returns the latter.

        Args:
            work: what is to be done.
            adopt: gives what takes over a job that was under way when its runner ended, where it is so still, or has
                ended since and will be reported as one of this run; None elsewhere.
        """
        needed = work.needed
        self._summary.reused = work.idle
        earlier = look_back(needed, retry_failed=self._retry_failed)
        self._tries = earlier.tries
        order = by_priority(work.experiments, needed, self._around.cost)
        self._schedule = Schedule(order, looks_ahead=self._looks_ahead)
        self._display.began(work)
        adopted = {job.folder.path: take for job in earlier.lost if (take := adopt(job)) is not None}
        earlier.lost = [job for job in earlier.lost if job.folder.path not in adopted]
        if needed:
            left, known = frozenset(earlier.left), earlier.statuses
            self._display.opened(RunFacts(work.experiments, needed, known, left, adopted=frozenset(adopted)))
        for take in adopted.values():
            take()
        self._tell_left(earlier.lost)
        for job in earlier.lost:
            # It runs no more, whatever comes of it in this run.
            status = earlier.statuses[job.folder.path]
            self._journal.record(job.folder, dataclasses.replace(status, state="interrupted", error=LOST))
        for path, status in earlier.left.items():
            if path not in self._summary.failed:
                self._schedule.start(needed[path])
                self._fail(needed[path], status)
        for job in earlier.blocked:
            if job.folder.path not in self._summary.failed:
                job.folder.status.unlink(missing_ok=True)
        self._summary.earlier = frozenset(self._summary.failed)
        return earlier

    def _tell_left(self, jobs: Sequence[PlannedJob]) -> None:
        """Say which jobs another executor has, whose tries give way to those of this run."""
        here = "on this machine" if self._executor == LOCAL else f"on {self._executor}"
        for name, count in Counter(executor_of(job.folder) for job in jobs).items():
            if name not in (None, self._executor):
                self._display.say(RUN_HERE.format(stages=counted(count, "stage"), there=name, here=here))

    def wake(self, now: float) -> None:
        """Make those jobs ready whose time to be tried again has come."""
        while self._delayed and self._delayed[0][0] <= now:
            _, _, job = heapq.heappop(self._delayed)
            self._schedule.put_back(job, self.tries_of(job).turn)

    @property
    def ready(self) -> Sequence[PlannedJob]:
        """The jobs that may start now, first come first; it changes with them."""
        return self._schedule.ready

    @property
    def next_due(self) -> float:
        """When the next job may be tried again; infinite when none waits for that."""
        return self._delayed[0][0] if self._delayed else float("inf")

    def tries_of(self, job: PlannedJob) -> Tries:
        """What a job has used up, and how it runs next."""
        return self._tries[job.folder.path]

    def make_room(self, job: PlannedJob) -> None:
        """Have nothing in the way of the records of a job that is about to start."""
        self._journal.make_room(job.folder)

    def chain(self, job: PlannedJob) -> list[PlannedJob]:
        """A ready job and all that need nothing but it, or each other, each after what it needs."""
        return self._schedule.chain(job)

    def take_back(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job that was submitted together with what it needs was not begun."""
        self._schedule.take_back(job)
        if job.folder.path not in self._summary.failed:
            self._tell(job, dataclasses.replace(status, state="pending"))

    def started(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job was submitted."""
        self._schedule.start(job)
        self._journal.record(job.folder, status)
        self._display.started(job, status)

    def refuse(self, job: PlannedJob, status: StatusRecord) -> None:
        """A ready job could not be started."""
        self._schedule.start(job)
        self.ended(job, status, None, now=0.0)

    def updated(self, job: PlannedJob, status: StatusRecord, before: StatusRecord) -> None:
        """More is known of a job that was submitted; one that can never start stays failed."""
        if job.folder.path in self._summary.failed:
            return
        if status.state == before.state:
            self._journal.update(job.folder, status)
        else:
            self._journal.record(job.folder, status)
            self._display.started(job, status)

    def ended(self, job: PlannedJob, status: StatusRecord, end: End | None, now: float) -> None:
        """A try of a job has ended.

        Args:
            job: the job.
            status: what the try left.
            end: in what company it ended without a result; None when it is not to be tried again, whatever happened.
            now: the time, for when it is tried again.
        """
        self._summary.ended[job.folder.path] = status
        if status.state in FINISHED:
            self.halt.went_on(status.stage)
            self._around.learn(job, status)
            self._schedule.finish(job)
            self._tell(job, status)
            return
        self._schedule.stop(job)
        retry = None if end is None else self._policy.next_try(self.tries_of(job), end, self._can_shrink(job))
        if retry is not None:
            self._tries[job.folder.path] = retry.tries
            self._n_delayed += 1
            heapq.heappush(self._delayed, (now + retry.delay, self._n_delayed, job))
            put_back = dataclasses.replace(status, state="pending", memory_step=retry.tries.memory_step)
            self._summary.ended[job.folder.path] = put_back
            self._tell(job, put_back)
        elif status.state in STOPPED and end is None:
            self._tell(job, status)
        else:
            if status.state == "preempted" and end is not None and end.kind == "timeout":
                # Its place is taken away each time before it begins: to the user that is a limit that is too short.
                status = dataclasses.replace(status, state="timeout")
                self._summary.ended[job.folder.path] = status
            self.halt.failed(status)
            self._tell(job, status)
            self._fail(job, status)

    def flush(self) -> None:
        """Write to the disk what found no space before."""
        self._journal.flush()

    def close(self, stopped_by: signal.Signals | None) -> RunSummary:
        """What became of everything, after the last job."""
        self.flush()
        summary = self._summary
        summary.stopped_by = stopped_by
        summary.halted, summary.machine = self.halt.reason, self.halt.machine
        if self._journal.unwritten:
            summary.machine = summary.machine or UNWRITTEN.format(count=self._journal.unwritten)
        return summary

    def _can_shrink(self, job: PlannedJob) -> Callable[[int], bool]:
        return lambda step: self._around.has_memory_step(job.record, step)

    def _fail(self, job: PlannedJob, status: StatusRecord) -> None:
        """A job will not be done, and nothing that needs it: that gets its error and its log."""
        self._summary.failed[job.folder.path] = status
        for blocked in self._schedule.fail(job):
            self._summary.failed[blocked.folder.path] = status
            if read_status(blocked.folder.status) == status:
                self._display.ended(blocked, status)
            else:
                self._tell(blocked, status)

    def _tell(self, job: PlannedJob, status: StatusRecord) -> None:
        self._journal.record(job.folder, status)
        self._display.ended(job, status)
        self._changed()


def look_back(needed: Mapping[Path, PlannedJob], *, retry_failed: bool) -> Earlier:
    """Read the statuses of the jobs that are to run.

    Args:
        needed: those jobs.
        retry_failed: whether failures that would come again are tried too.
    """
    found = Earlier()
    for path, job in needed.items():
        status, stage = read_status(job.folder.status), job.record.stage
        found.tries[path] = first_tries(status, stage)
        if status is None:
            continue
        found.statuses[path] = status
        if status.stage != stage:
            found.blocked.append(job)
        elif status.state in UNDER_WAY:
            found.lost.append(job)
        elif not retry_failed and not runs_again(status, stage):
            found.left[path] = status
    return found
