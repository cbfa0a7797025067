"""Runs the jobs of a grid: one loop without threads; a failure is recorded, and what does not need it goes on."""

import dataclasses
import time
from pathlib import Path

from sft.exceptions import MACHINE_ERRNOS, NO_SPACE_ERRNOS, SftError
from sft.experiments.executors.protocol import Executor, JobAttempt, Outcome, Request
from sft.experiments.running.attempt import ActiveJob, Limits, Watch, judge, log_of, prepare
from sft.experiments.running.board_refresh import BoardRefresh, StartBoard
from sft.experiments.running.bookkeeping import Ledger
from sft.experiments.running.crash_report import crashed
from sft.experiments.running.display import Display
from sft.experiments.running.failure_policy import End, Tries
from sft.experiments.running.log_files import Logs
from sft.experiments.running.schedule import Workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.summary import RunSummary
from sft.pipeline.gpus import gpus_needed
from sft.pipeline.jobs import PlannedJob
from sft.processes.signals import StopSignals
from sft.runs.attempts import number_of
from sft.runs.events import utc_now
from sft.runs.fence import require_in_place
from sft.runs.files import ResultsFolder
from sft.runs.records import LOADING_STAGES, ErrorRecord, StatusRecord
from sft.runs.states import FINISHED

STOPPING = "{name}: stopping {count} running, at most {grace:g} s; once more ends them at once"


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
        self._limits = Limits(settings.timeout, settings.stall_timeout)
        self._stops = StopSignals()
        self._active: dict[Path, ActiveJob] = {}
        self._requests: dict[Path, tuple[Tries, Request]] = {}
        """Worked out once for each state of a job's tries: thousands may wait, and are looked at again and again."""
        self._next_tick = 0.0
        self._told_stop = False

    def run(self, work: Workload) -> RunSummary:
        """Run what is to be done, each job after those it needs.

        Raises:
            InternalError: a bug; everything that ran was ended.
            MachineError: the results folder is not the one any more whose lock is held; everything was ended.
        """
        with self._stops:
            try:
                earlier = self._ledger.begin(work)
                for job in earlier.lost:
                    self._close_lost(job)
                self._loop()
                return self._ledger.close(self._stops.first)
            except SftError:
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
            if not self._active and not self._has_more():
                return
            ended = self._executor.ended(self._seconds_to_wait())
            if not self._stops.heeded:
                self._heed_signals()  # one that went to every process must be known before what it ended is judged
            for handle in ended:
                self._end(self._active.pop(handle.chain[0].folder.path))
            now = time.monotonic()
            for active in self._active.values():
                active.check_limits(now, self._settings.grace)
            if now >= self._next_tick:
                self._tick(now)

    @property
    def _is_stopping(self) -> bool:
        return self._stops.first is not None or self._ledger.halt.reason is not None

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
        moments = [self._next_tick, self._ledger.next_due, *(active.deadline for active in self._active.values())]
        return max(0.0, min(moments) - now)

    def _heed_signals(self) -> None:
        if self._stops.first is None:
            return
        grace = 0.0 if self._stops.at_once else self._settings.grace
        self._stops.heeded = True
        if not self._told_stop and self._active:
            self._told_stop = True
            self._display.say(STOPPING.format(name=self._stops.first.name, count=len(self._active), grace=grace))
        for active in self._active.values():
            active.stop(self._stops.first, grace)
        self._board.end()

    # starting

    def _start_what_can(self) -> None:
        if self._is_stopping or self._executor.capacity().is_full:
            return  # without a look at thousands that wait
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
        memory_step = self._ledger.tries_of(job).memory_step
        status = StatusRecord("running", job.record.stage, memory_step=memory_step)
        try:
            self._ledger.make_room(job)
            attempt = prepare(job, memory_step)
            handle = self._executor.submit([JobAttempt(job.folder, attempt)], self._request(job))
        except OSError as error:
            if error.errno not in NO_SPACE_ERRNOS:
                raise
            written = error.filename or "the records of the job"
            no_space = ErrorRecord("disk_full", f"no space left while writing {written}")
            self._ledger.refuse(job, dataclasses.replace(status, state="failed", error=no_space))
            return
        place = handle.placement
        status = dataclasses.replace(
            status,
            attempt=number_of(attempt),
            started=utc_now(),
            pid=place.pid,
            start=place.start,
            gpus=place.lease.gpus or (),
        )
        watch = Watch(self._limits, job.record.stage, time.monotonic())
        logs = Logs(attempt, self._around.log_size)
        self._active[job.folder.path] = ActiveJob(job, handle, status, watch, logs)
        self._ledger.started(job, status)

    # while they run, and at their end

    def _tick(self, now: float) -> None:
        self._next_tick = now + self._around.tick_seconds
        for active in self._active.values():
            if active.look():
                self._ledger.updated(active.job, active.status)
        self._ledger.flush()
        self._display.ticked([active.shown(now) for active in self._active.values()])
        if self._stops.first is None:
            self._board.tick()

    def _end(self, active: ActiveJob) -> None:
        now = time.monotonic()
        active.logs.close(self._around.mask)
        outcome = active.outcome
        status = self._judged(active, outcome, now)
        end = End(
            status.state,
            "exception" if status.error is None else status.error.kind,
            had_company=outcome.had_company,
            shared_gpu=outcome.shared_gpu,
            at_loading=status.error is not None and status.error.at_loading,
        )
        if status.state not in FINISHED:
            self._ledger.halt.tried(status, made_progress=active.made_progress)
        was_stopped = active.asked.why is not None and status.state == active.asked.state
        self._ledger.ended(active.job, status, None if was_stopped else end, now)

    def _judged(self, active: ActiveJob, outcome: Outcome, now: float) -> StatusRecord:
        attempt, place = active.attempt, active.handle.placement
        running = dataclasses.replace(active.status, pid=place.pid or active.status.pid, start=place.start)
        status = judge(active.job, attempt, outcome, running, active.asked)
        status = dataclasses.replace(status, ended=utc_now(), seconds=round(active.watch.seconds(now), 3))
        if status.error is None:
            return status
        error = dataclasses.replace(status.error, message=self._around.mask(status.error.message))
        log = log_of(attempt, self._results.path)
        return dataclasses.replace(status, error=error, log=log)

    def _close_lost(self, job: PlannedJob) -> None:
        """The tries of a job whose runner was killed have nobody else who looks after their logs.

        It need not be the last one: somebody may have run the job by hand meanwhile.
        """
        for attempt in job.folder.attempts():
            Logs(attempt, self._around.log_size).close(self._around.mask)
