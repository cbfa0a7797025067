"""An executor whose chains take seconds of a clock that jumps: a queue, places, and jobs that leave real files."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sft.experiments.executors.protocol import (
    Capacity,
    Item,
    JobAttempt,
    Lease,
    MemorySeen,
    Outcome,
    Placement,
    Request,
)
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, UnderWay

NOT_BEGUN = Outcome(75, None, MemorySeen(), was_begun=False)


@dataclass(frozen=True)
class Course:
    """How things go on a played cluster."""

    slots: int = 100
    """Chains that run at the same time."""
    at_once: int = 400
    """Chains that wait or run at the same time."""
    queue_seconds: float = 30.0
    """That each chain waits at least."""
    median_seconds: float = 60.0
    spread: float = 0.7
    """Of the seconds of a stage, which are log-normal."""
    failures: float = 0.05
    """Share of the tries that fail, in the end."""


class PlayedHandle:
    """A job that ends at a moment of the played clock."""

    def __init__(self, job: JobAttempt) -> None:
        self.job = job
        self.standing: UnderWay = "queued"
        self.next: PlayedHandle | None = None
        """In its chain."""
        self._outcome: Outcome | None = None

    @property
    def placement(self) -> Placement:
        return Placement("played", Lease(), None if self.standing == "queued" else 1, "fresh")

    def outcome(self) -> Outcome | None:
        return self._outcome

    def finish(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def stop(self, _grace: float) -> None:
        """Nobody asks."""

    def dump_stacks(self) -> None:
        """Nobody asks."""


class PlayedCluster:
    """Chains start in the order in which they came, each as soon as it has waited and a place is free."""

    takes_chains = True
    outlives_runner = False
    is_settled = True

    def __init__(self, course: Course, leave_result: Callable[[JobFolder], None]) -> None:
        """
        Args:
            course: how things go; the same with the same jobs.
            leave_result: makes a job done.
        """
        self.course = course
        self._needs: dict[Path, set[Path]] = {}
        self._leave_result = leave_result
        self._chance = random.Random(1)
        self._queue: deque[tuple[float, Sequence[PlayedHandle]]] = deque()
        """When each chain may start at the earliest."""
        self._events: list[tuple[float, int, PlayedHandle | None, Outcome]] = []
        """A heap of the moments at which a job ends, or where none is named a chain; the numbers keep equals apart."""
        self._n_events = 0
        self._n_running = 0
        self.now = 0.0
        self.work = 0.0
        """Seconds that places were taken."""
        self.longest = 0.0
        """Seconds of the longest chain."""
        self.n_chains = 0

    def expect(self, jobs: Sequence[PlannedJob]) -> None:
        self._needs = {job.folder.path: set(job.needs) for job in jobs}

    def warnings(self, _experiments: Mapping[str, Sequence[PlannedJob]], _reused: Collection[Path]) -> list[str]:
        return []

    def capacity(self) -> Capacity:
        return Capacity(is_full=len(self._queue) + self._n_running >= self.course.at_once)

    def startable(self, waiting: Sequence[Item], _request_of: Callable[[Item], Request]) -> Iterator[Item]:
        while waiting and not self.capacity().is_full:
            yield waiting[0]

    def submit(self, chain: Sequence[JobAttempt], _request: Request) -> Sequence[PlayedHandle]:
        handles = [PlayedHandle(job) for job in chain]
        for handle, following in itertools.pairwise(handles):
            handle.next = following
        self._queue.append((self.now + self.course.queue_seconds, handles))
        self.n_chains += 1
        return handles

    def adopt(self, _job: JobAttempt) -> None:
        """Nothing runs from before."""

    def detach(self) -> Sequence[PlayedHandle]:
        return ()

    def ended(self, _timeout: float) -> Sequence[PlayedHandle]:
        """All that ends at the next moment at which something does, at once."""
        found: list[PlayedHandle] = []
        while not found:
            self._start_chains()
            if not self._events:
                break
            self.now = self._events[0][0]
            while self._events and self._events[0][0] == self.now:
                _, _, handle, outcome = heapq.heappop(self._events)
                if handle is None:
                    self._n_running -= 1
                    continue
                if outcome.was_begun and outcome.code == 0:
                    self._leave_result(handle.job.folder)
                handle.finish(outcome)
                found.append(handle)
                if handle.next is not None:
                    handle.next.standing = "running"
        return found

    def close(self) -> None:
        """Nothing runs."""

    def _start_chains(self) -> None:
        """Fill free places, at the earliest when the next chain may start, unless something ends before."""
        while self._queue and self._n_running < self.course.slots:
            may_start = self._queue[0][0]
            if self._events and self._events[0][0] < may_start:
                return
            self.now = max(self.now, may_start)
            self._run(self._queue.popleft()[1])

    def _run(self, handles: Sequence[PlayedHandle]) -> None:
        """Work out at once how a chain goes."""
        at, done = self.now, set[Path]()
        handles[0].standing = "running"
        inside = {handle.job.folder.path for handle in handles}
        for handle in handles:
            path = handle.job.folder.path
            if not self._needs[path] & inside <= done:
                self._note(at, handle, NOT_BEGUN)
                continue
            at += self._chance.lognormvariate(0.0, self.course.spread) * self.course.median_seconds
            if self._chance.random() < self.course.failures:
                self._note(at, handle, Outcome(1, ErrorRecord("network", "played"), MemorySeen()))
            else:
                done.add(path)
                self._note(at, handle, Outcome(0, None, MemorySeen()))
        self._note(at, None, NOT_BEGUN)
        self._n_running += 1
        self.work += at - self.now
        self.longest = max(self.longest, at - self.now)

    def _note(self, at: float, handle: PlayedHandle | None, outcome: Outcome) -> None:
        self._n_events += 1
        heapq.heappush(self._events, (at, self._n_events, handle, outcome))


def leave_result(folder: JobFolder) -> None:
    """The result of a stage, and its manifest."""
    result = folder.metrics if folder.path.parent.name == "experiments" else folder.path / "result.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text("{}", "utf-8")
    write_manifest(folder, [result])
