"""Runs the jobs of a grid: one loop without threads; a failure is recorded, and what does not need it goes on."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sft.exceptions import MACHINE_ERRNOS, NO_SPACE_ERRNOS, SftError
from sft.experiments.executors.options import LOCAL
from sft.experiments.executors.protocol import Executor, Handle, JobAttempt, Request
from sft.experiments.running.attempts.active_jobs import ActiveJobs
from sft.experiments.running.attempts.attempt import ActiveJob, Limits, placed, prepare
from sft.experiments.running.attempts.ending import close_lost, end_of, last_status
from sft.experiments.running.board_refresh import BoardRefresh, StartBoard
from sft.experiments.running.bookkeeping import Ledger
from sft.experiments.running.crash_report import crashed
from sft.experiments.running.display import Display
from sft.experiments.running.failure_policy import Tries
from sft.experiments.running.schedule import Workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.summary import RunSummary
from sft.pipeline.gpus import gpus_needed
from sft.pipeline.jobs import PlannedJob
from sft.processes.signals import StopSignals
from sft.runs.attempts import number_of
from sft.runs.events import utc_now
from sft.runs.fence import TakenOver, require_in_place
from sft.runs.files import ResultsFolder
from sft.runs.records import LOADING_STAGES, ErrorRecord, StatusRecord, read_status
from sft.runs.states import FINISHED


class Runner:
    """Runs jobs through an executor, which it closes in the end."""

    def __init__(
        self,
        results: ResultsFolder,
        executor: Executor,
        display: Display,
        start_board: StartBoard,
        settings: RunSettings,
        surroundings: Surroundings,
    ) -> None:
        self._results = results
        self._executor = executor
        self._display = display
        self._settings = settings
        self._around = surroundings
        self._board = BoardRefresh(start_board, display.say, surroundings.board_seconds)
        self._ledger = Ledger(results, display, settings, surroundings, self._board.changed)
        self._stops = StopSignals()
        limits = Limits(settings.timeout, settings.stall_timeout)
        self._active = ActiveJobs(limits, settings.grace, surroundings.log_size)
        self._requests: dict[Path, tuple[Tries, Request]] = {}
        """Worked out once for each state of a job's tries: thousands may wait, and are looked at again and again."""
        self._next_tick = 0.0
        self._handed: dict[Path, Path] = {}
        """The folders of the jobs that were submitted, and of the first try of their chain."""

    def run(self, work: Workload) -> RunSummary:
        """Run what is to be done, each job after those it needs.

        Raises:
            InternalError: a bug; everything that ran was ended.
            MachineError: the results folder is not this run's any more; all was ended that no other run takes over.
        """
        with self._stops:
            try:
                earlier = self._ledger.begin(work, self._adopt)
                for job in earlier.lost:
                    close_lost(job, self._around)
                self._loop()
                if self._settings.detach:
                    self._take_refused()
                summary = self._ledger.close(self._stops.first)
                if self._active:
                    summary.leave(self._settings.executor or LOCAL, self._handed, self._active.folders, work.needed)
                return summary
            except SftError as error:
                if self._settings.detach or (self._executor.outlives_runner and isinstance(error, TakenOver)):
                    self._executor.detach()
                raise
            except Exception as error:
                if isinstance(error, OSError) and error.errno in MACHINE_ERRNOS:
                    raise
                raise crashed(error, self._results) from error
            finally:
                self._executor.close()
                self._board.end()
                self._display.closed()

    def _loop(self) -> None:
        while True:
            self._heed_signals()
            require_in_place(self._results.path)
            self._ledger.wake(time.monotonic())
            self._start_what_can()
            if self._may_leave or (not self._active and not self._has_more()):
                return
            ended = self._executor.ended(self._seconds_to_wait())
            if not self._stops.heeded:
                self._heed_signals()  # one that went to every process must be known before what it ended is judged
            for handle in ended:
                self._end(self._active.pop(handle))
            now = time.monotonic()
            if now >= min(self._active.next_limit, self._next_tick):  # not at every end: beside it thousands may run
                self._active.check_limits(now)
            if now >= self._next_tick:
                self._tick(now)

    @property
    def _is_stopping(self) -> bool:
        return self._stops.first is not None or self._ledger.halt.reason is not None

    @property
    def _may_leave(self) -> bool:
        """Whether nobody is needed until something ends on the cluster; whoever stops a run waits for its end."""
        if not self._settings.detach or self._stops.first is not None or not self._executor.is_settled:
            return False
        waits = self._ledger.next_due < float("inf") or self._ledger.ready
        return self._ledger.halt.reason is not None or not waits or self._executor.capacity().is_full

    def _take_refused(self) -> None:
        """Leave what was submitted to itself, and take back what the cluster did not take."""
        for handle in self._executor.detach():
            active = self._active.pop(handle)
            self._handed.pop(active.job.folder.path, None)
            self._ledger.take_back(active.job, active.status)

    def _has_more(self) -> bool:
        """Whether something is to start later, though nothing runs now."""
        if self._is_stopping:
            return False
        ready, is_delayed = self._ledger.ready, self._ledger.next_due < float("inf")
        if ready and not (is_delayed or self._executor.capacity().is_settling):
            raise RuntimeError(f"the executor has no place for {ready[0].record.stage} {ready[0].record.name}")
        return bool(ready) or is_delayed

    def _seconds_to_wait(self) -> float:
        now = time.monotonic()
        return max(0.0, min(self._next_tick, self._ledger.next_due, self._active.next_limit) - now)

    def _heed_signals(self) -> None:
        if self._active.heed(self._stops, self._display.say):
            self._board.end()

    # starting

    def _start_what_can(self) -> None:
        if self._is_stopping or not self._ledger.ready or self._executor.capacity().is_full:
            return  # without a look at thousands that wait
        if self._settings.detach and not self._executor.is_settled:
            return  # what earlier runs submitted may have failed, and what needs it would be submitted in vain
        for job in self._executor.startable(self._ledger.ready, self._request):
            self._start(job)
            if self._is_stopping:
                return

    def _request(self, job: PlannedJob) -> Request:
        tries = self._ledger.tries_of(job)
        known = self._requests.get(job.folder.path)
        if known is None or known[0] is not tries:
            stage = job.record.stage
            gpus = gpus_needed(stage, job.record.config, self._executor.capacity().gpus)
            request = Request(gpus, tries.own_gpus, tries.alone, has_model=stage in LOADING_STAGES)
            known = self._requests[job.folder.path] = (tries, request)
        return known[1]

    def _start(self, job: PlannedJob) -> None:
        chain = self._ledger.chain(job) if self._executor.takes_chains else [job]
        try:
            links = [self._prepared(link) for link in chain]
            statuses = [self._queued(planned, link) for planned, link in zip(chain, links, strict=True)]
            handles = self._executor.submit(links, self._request_of(chain))
        except OSError as error:
            if error.errno not in NO_SPACE_ERRNOS:
                raise
            written = error.filename or "the records of the job"
            no_space = ErrorRecord("disk_full", f"no space left while writing {written}")
            status = StatusRecord("failed", job.record.stage, error=no_space)
            self._ledger.refuse(job, dataclasses.replace(status, memory_step=self._ledger.tries_of(job).memory_step))
            return
        self._handed |= dict.fromkeys((link.folder.path for link in chain), links[0].attempt.path)
        for link, handle, status in zip(chain, handles, statuses, strict=True):
            self._take(link, handle, placed(status, handle), status)

    def _queued(self, job: PlannedJob, link: JobAttempt) -> StatusRecord:
        """Its status as it is submitted; on a cluster it is written before, so that no crash hides what was."""
        memory_step = self._ledger.tries_of(job).memory_step
        status = StatusRecord("queued", job.record.stage, number_of(link.attempt), start="fresh", queued=utc_now())
        status = dataclasses.replace(status, memory_step=memory_step)
        if self._executor.takes_chains:
            self._ledger.started(job, status)
        return status

    def _prepared(self, job: PlannedJob) -> JobAttempt:
        self._ledger.make_room(job)
        return JobAttempt(job.folder, prepare(job, self._ledger.tries_of(job).memory_step))

    def _request_of(self, chain: Sequence[PlannedJob]) -> Request:
        """What one place must have for all of a chain."""
        return Request.of_chain([self._request(job) for job in chain], [self._around.cost(job) for job in chain])

    def _take(self, job: PlannedJob, handle: Handle, status: StatusRecord, told: StatusRecord | None = None) -> None:
        """Look after a job that was submitted, of which `told` may be written already."""
        self._active.add(job, handle, status, time.monotonic())
        if told is None or not self._executor.takes_chains:
            self._ledger.started(job, status)
        elif status != told:
            self._ledger.updated(job, status, told)

    def _adopt(self, job: PlannedJob) -> Callable[[], None] | None:
        """Find a job that an earlier run submitted, where it still runs; what is returned takes it over."""
        status = read_status(job.folder.status)
        attempts = [attempt for attempt in job.folder.attempts() if status and number_of(attempt) == status.attempt]
        handle = self._executor.adopt(JobAttempt(job.folder, attempts[0])) if attempts else None
        if handle is None or status is None:
            return None
        return partial(self._take, job, handle, placed(status, handle))

    # while they run, and at their end

    def _tick(self, now: float) -> None:
        self._next_tick = now + self._around.tick_seconds
        for active, before in self._active.look():
            self._ledger.updated(active.job, active.status, before)
        self._ledger.flush()
        self._display.ticked(self._active.shown(now))
        if self._stops.first is None:
            self._board.tick()

    def _end(self, active: ActiveJob) -> None:
        now = time.monotonic()
        active.logs.close(self._around.mask)
        if not active.outcome.was_begun and active.asked.overrun is None and not active.job.is_done:
            self._ledger.take_back(active.job, active.status)
            return
        status = last_status(active, self._around, self._results.path, now)
        if status.state not in FINISHED:
            self._ledger.halt.tried(status, made_progress=active.made_progress)
        self._ledger.ended(active.job, status, end_of(active, status), now)
