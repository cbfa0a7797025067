"""A chain of jobs in the place that a cluster gave it: each in a fresh process, one after the other.

This process is to its jobs what a runner is on one machine. What it knows of each goes to files in the folder of the
try, and what the runner wants of it comes from there, because between the two there may be a network, and neither
need live as long as the other.
"""

import json
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sft.exceptions import SftError
from sft.experiments.executors import make_executor
from sft.experiments.executors.options import ExecutorOptions, StartChoice
from sft.experiments.executors.protocol import Executor, Handle, JobAttempt, Outcome, Request
from sft.pipeline.gpus import gpus_needed
from sft.pipeline.jobs import PlannedJob
from sft.processes.signals import STOPPED_EXIT_CODE, StopSignals
from sft.processes.visible_gpus import VISIBLE_GPUS
from sft.runs.atomic import write_json
from sft.runs.chains import Begun, Chain, Ended, Link, Orders, SubmittedTry, read, read_chain
from sft.runs.claims.chains import take
from sft.runs.exit_codes import INCOMPLETE, UNSEEN, exit_code_of
from sft.runs.file_systems import look_anew
from sft.runs.files import JobFolder
from sft.runs.manifest import is_done
from sft.runs.records import LOADING_STAGES, read_job, write_record

LOOK_SECONDS = 1.0
"""Between two looks for orders."""
PATIENCE_SECONDS = 60.0
"""How long the results of a job that ran elsewhere may take to appear on a network disk."""


def run_chain(file: Path) -> int:
    """Run the jobs of a chain; how each ended stands in the folder of its try.

    Args:
        file: as `write_chain` left it.

    Returns:
        The exit code: 0 where every job has its results, `UNSEEN` where this place does not see the files. Where
        another submission of the chain runs it, nothing is touched.
    """
    try:
        chain = read_chain(file)
        jobs = [PlannedJob(link.job, read_job(link.job.job), ()) for link in chain.links]
        other = take(SubmittedTry(file.parent), os.environ)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{socket.gethostname()} cannot read what it is to run: {error}\n")
        return UNSEEN
    if other is not None:
        sys.stderr.write(f"this chain was submitted twice, and is that of job {other}: nothing is done here\n")
        return INCOMPLETE
    if chain.folder:
        os.chdir(chain.folder if os.path.isdir(chain.folder) else "/")
    os.environ["OMP_NUM_THREADS"] = str(chain.threads)
    executor = make_executor(_options_of(chain), _say)
    with StopSignals() as signals:
        course = _Course(chain, executor, signals)
        try:
            executor.expect(jobs)
        except SftError as error:
            course.refusal = error
        try:
            course.run()
        finally:
            executor.close()
    if signals.first is not None:
        return STOPPED_EXIT_CODE
    return 0 if course.is_whole else INCOMPLETE


def _options_of(chain: Chain) -> ExecutorOptions:
    return ExecutorOptions(
        jobs=1,
        start=cast("StartChoice", chain.start if len(chain.links) > 1 or chain.start != "auto" else "fresh"),
        start_timeout=chain.start_timeout,
        fork_timeout=chain.fork_timeout,
    )


def show_sight(file: Path) -> int:
    """Say in a results folder that this place sees it.

    Args:
        file: the question that lies there.

    Returns:
        The exit code.
    """
    host = socket.gethostname()
    try:
        nonce = json.loads(file.read_text("utf-8"))["nonce"]
        write_json(file.with_suffix(".seen"), {"nonce": nonce, "host": host})
    except (OSError, ValueError, SftError) as error:
        sys.stderr.write(f"{host} cannot use {file.parent}: {error}\n")
        return UNSEEN
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@dataclass
class _Course:
    """How far a chain is."""

    chain: Chain
    executor: Executor
    signals: StopSignals
    done: set[int] = field(default_factory=set)
    """Places of the jobs that left results."""
    refusal: SftError | None = None
    """Why this place is not what the jobs need, so that nothing runs."""

    @property
    def is_whole(self) -> bool:
        """Whether every job left results."""
        return len(self.done) == len(self.chain.links)

    def run(self) -> None:
        """Run what can be run, in order."""
        for place, link in enumerate(self.chain.links):
            if not link.tried.ended.exists():
                write_record(link.tried.ended, self._end_of(place, link))
            ended = read(link.tried.ended, Ended)
            if ended is not None and ended.was_begun and ended.code == 0:
                self.done.add(place)

    def _end_of(self, place: int, link: Link) -> Ended:
        if link.tried.begun.exists():
            # The cluster has put the chain back into its queue after it was lost: the runner decides on further tries.
            message = "its place was lost, and the cluster started it again"
            return Ended(STOPPED_EXIT_CODE, "node_lost", message)
        if self.refusal is not None:  # the first job says so
            kind = self.refusal.kind
            return Ended(exit_code_of(kind), kind, str(self.refusal), was_begun=place == 0)
        is_wanted = orders_of(link).grace is None and not _is_given_up(link)
        lacks = not self.done.issuperset(link.needs)
        if self.signals.first is not None or not is_wanted or lacks or not self._has_outside(link):
            return self._not_begun(place)
        return self._run(link)

    def _not_begun(self, place: int) -> Ended:
        """The first one counts as a try where the cluster takes its place away before it has begun: else it would be
        submitted again and again, at once.
        """
        by = None if self.signals.first is None else self.signals.first.name
        return Ended(STOPPED_EXIT_CODE, was_begun=by is not None and place == 0, stopped_by=by)

    def _has_outside(self, link: Link) -> bool:
        """Whether all is there that a job needs of other chains; a disk may show it some time after it was written."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(is_done(JobFolder(folder)) for folder in link.outside):
            for folder in link.outside:
                look_anew(folder)
            is_late = time.monotonic() >= deadline or self.signals.first is not None
            if is_late or any(_failed(JobFolder(folder)) for folder in link.outside):
                return False
            self.executor.ended(LOOK_SECONDS)
        return True

    def _run(self, link: Link) -> Ended:
        record = read_job(link.job.job)
        gpus = gpus_needed(record.stage, record.config, self.executor.capacity().gpus)
        request = Request(gpus, has_model=record.stage in LOADING_STAGES)
        while not any(True for _ in self.executor.startable([link], lambda _: request)):
            self.executor.ended(LOOK_SECONDS)  # a GPU rests that another job has just left
            if self.signals.first is not None:
                return self._not_begun(self.chain.links.index(link))
        (job,) = self.executor.submit([JobAttempt(link.job, link.tried)], request)
        watch = _Orders(link, job, self.signals, self.chain.grace)
        told, began = None, time.monotonic()
        while (outcome := job.outcome()) is None:
            if told is None or told.pid is None:
                told = _begun(job, told, link)
            self.executor.ended(LOOK_SECONDS if told.pid is not None else 0.05)
            watch.heed()
        return _ended(outcome, watch.stopped_by, time.monotonic() - began)


def _failed(folder: JobFolder) -> bool:
    """Whether the last try of a job says that it ended without a result."""
    ended = [read(SubmittedTry(attempt.path).ended, Ended) for attempt in folder.attempts()[-1:]]
    return any(found is not None and (found.code != 0 or not found.was_begun) for found in ended)


def _begun(job: Handle, before: Begun | None, link: Link) -> Begun:
    """Say where a try runs, as soon as there is something new to say."""
    place, shown = job.placement, os.environ.get(VISIBLE_GPUS)
    gpus = None if shown is None else tuple(part for part in shown.split(",") if part)
    began = time.time() if before is None else before.began
    now = Begun(socket.gethostname(), place.pid, place.start, place.lease.threads, gpus, began)
    if now != before:
        write_record(link.tried.begun, now)
    return now


def _ended(outcome: Outcome, stopped_by: str | None, seconds: float) -> Ended:
    error, memory = outcome.error, outcome.memory
    return Ended(
        outcome.code,
        None if error is None else error.kind,
        None if error is None else error.message,
        memory.peak_bytes,
        memory.limit_bytes,
        memory.oom_kills,
        stopped_by=stopped_by,
        seconds=round(seconds, 3),
    )


def orders_of(link: Link) -> Orders:
    """What the runner wants of a job; a network disk that was asked before shows it when its folder is opened anew."""
    look_anew(link.tried.path)
    return read(link.tried.orders, Orders) or Orders()


class _Orders:
    """Passes on to a job what the runner and the cluster want of it."""

    def __init__(self, link: Link, job: Handle, signals: StopSignals, grace: float) -> None:
        self._link = link
        self._job = job
        self._signals = signals
        self._grace = grace
        self._given = Orders()
        self._next_look = 0.0
        self.stopped_by: str | None = None
        """The signal that asked the chain to end, before the runner did."""

    def heed(self) -> None:
        """Do what is asked, at most once a second."""
        if self._signals.first is not None and self.stopped_by is None and self._given.grace is None:
            self.stopped_by = self._signals.first.name
            self._job.stop(self._grace)
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        if _is_given_up(self._link):
            self._job.stop(0.0)
        orders = orders_of(self._link)
        if orders.stacks > self._given.stacks:
            self._job.dump_stacks()
        if orders.grace is not None and orders.grace != self._given.grace:
            self._job.stop(orders.grace)
        self._given = orders


def _is_given_up(link: Link) -> bool:
    """Whether the runner has started another try; where the file cannot be read, it has not been heard of."""
    try:
        return link.job.in_force.read_text("utf-8").strip() != link.attempt
    except OSError:
        return False
