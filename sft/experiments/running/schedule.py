"""Which jobs run and in which order; pure, so that every rule is seen without a process.

Only what leads to an experiment that is not finished is run. The first seed of every setting comes first, so that an
early look compares all settings; within a seed what has most work behind it (a shared stage has that of all that need
it), and an experiment that was begun is finished before the next.
"""

import bisect
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

from sft.config.seeds import without_seeds
from sft.pipeline.job_graph import Experiments, direct_needs, goals_beside, needed_jobs, unique_jobs
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import StageName

CostOf = Callable[[PlannedJob], float | None]
"""Seconds that a job is expected to take; None where nothing is known."""

UNKNOWN_SECONDS: Mapping[StageName, float] = {
    "train": 60.0,
    "infer": 20.0,
    "evaluate": 2.0,
    "baseline": 2.0,
    "export": 20.0,
}

MANY_SHOTS = 500
"""More of them take a baseline longer than a few seconds."""


def unknown_cost(_job: PlannedJob) -> float | None:
    """The cost function of who knows nothing."""
    return None


@dataclass(frozen=True)
class Workload:
    """The experiments of a run and what of them is to be done, worked out once: it asks every manifest on the disk."""

    experiments: Experiments
    needed: Mapping[Path, PlannedJob]
    """By folder, the jobs that are not done and lead to a goal, or to one beside the experiments, that is not done."""

    @cached_property
    def idle(self) -> frozenset[Path]:
        """Folders of the jobs that have nothing to do: they, or all that need them, were done before."""
        return frozenset(unique_jobs(self.experiments)) - frozenset(self.needed)


def workload(
    experiments: Experiments,
    is_done: Callable[[PlannedJob], bool] = lambda job: job.is_done,
    beside: Sequence[PlannedJob] = (),
) -> Workload:
    """What is to be done.

    Args:
        experiments: name -> jobs.
        is_done: whether a job has nothing to do, by default by its files.
        beside: jobs that no experiment waits for; some wait for jobs of experiments.
    """
    return Workload(experiments, needed_jobs({**goals_beside(experiments, beside), **experiments}, is_done))


def by_priority(experiments: Experiments, needed: Mapping[Path, PlannedJob], cost: CostOf) -> list[PlannedJob]:
    """The needed jobs, first come first; before all the baselines, which take seconds and boards show.

    Those of many shots take minutes, and come last with the exports.
    """
    seconds = {
        path: UNKNOWN_SECONDS[job.record.stage] if (known := cost(job)) is None else known
        for path, job in needed.items()
    }
    work = _work(needed, seconds)
    ranks = seed_ranks(experiments)

    def urgency(name: str) -> tuple[int, float, float]:
        own = [job.folder.path for job in experiments[name] if job.folder.path in needed]
        return ranks[name], -max(work[path] for path in own), -sum(seconds[path] for path in own)

    names = [name for name, jobs in experiments.items() if jobs and jobs[-1].folder.path in needed]
    baselines = {path: job for path, job in needed.items() if job.record.stage == "baseline"}
    placed = {path: job for path, job in baselines.items() if not _has_many_shots(job)}
    for name in sorted(names, key=urgency):
        for job in experiments[name]:
            if job.folder.path in needed:
                placed.setdefault(job.folder.path, needed[job.folder.path])
    return list({**placed, **baselines, **needed}.values())


def _has_many_shots(job: PlannedJob) -> bool:
    """Whether its words take longer to count than an experiment should wait; of `all` nobody knows before reading."""
    shots = job.record.config.get("dataset", {}).get("shots", 0)
    return not isinstance(shots, int) or shots > MANY_SHOTS


def seed_ranks(experiments: Experiments) -> dict[str, int]:
    """Name -> which of the seeds of its setting it is, from 0; a setting is a config without name and seeds."""
    counts: dict[str, int] = {}
    ranks: dict[str, int] = {}
    for name, jobs in experiments.items():
        config = jobs[-1].record.config if jobs else {}
        setting = without_seeds(config)
        ranks[name] = counts.get(setting, 0)
        counts[setting] = ranks[name] + 1
    return ranks


def _work(needed: Mapping[Path, PlannedJob], seconds: Mapping[Path, float]) -> dict[Path, float]:
    """Seconds of each job and of all that wait for it."""
    followers = _followers(needed)

    def behind(path: Path) -> Iterator[Path]:
        seen, waiting = {path}, [path]
        while waiting:
            current = waiting.pop()
            yield current
            fresh = [follower for follower in followers.get(current, ()) if follower not in seen]
            seen.update(fresh)
            waiting += fresh

    return {path: sum(seconds[job] for job in behind(path)) for path in needed}


def _followers(needed: Mapping[Path, PlannedJob]) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = {}
    for path, job in needed.items():
        for need in direct_needs(job, needed):
            found.setdefault(need, []).append(path)
    return found


class _Ready(Sequence[PlannedJob]):
    """The ready jobs as they are at any moment; thousands may wait, and only a few are looked at."""

    def __init__(self, entries: Sequence[tuple[int, int, PlannedJob]]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[PlannedJob]:
        return (job for _, _, job in self._entries)

    @overload
    def __getitem__(self, place: int) -> PlannedJob: ...
    @overload
    def __getitem__(self, place: slice) -> list[PlannedJob]: ...
    def __getitem__(self, place: int | slice) -> PlannedJob | list[PlannedJob]:
        if isinstance(place, slice):
            return [job for _, _, job in self._entries[place]]
        return self._entries[place][2]


class Schedule:
    """The jobs of a run on their way: which may start now, and what an end means for the others."""

    def __init__(self, jobs: Sequence[PlannedJob], *, looks_ahead: bool = False) -> None:
        """Nothing is started yet.

        Args:
            jobs: in order of priority; needs that are not among them are finished.
            looks_ahead: whether a job may start as soon as all that it needs has been started.
        """
        self._looks_ahead = looks_ahead
        self._started: set[Path] = set()
        self._jobs = {job.folder.path: job for job in jobs}
        self._place = {path: place for place, path in enumerate(self._jobs)}
        self._unmet = {path: set(direct_needs(job, self._jobs)) for path, job in self._jobs.items()}
        self._followers = _followers(self._jobs)
        self._ready = [(0, self._place[path], self._jobs[path]) for path, unmet in self._unmet.items() if not unmet]
        self._turns = {job.folder.path: turn for turn, _, job in self._ready}
        self._ahead: set[Path] = set()
        """Jobs that were started together with what they still need."""

    @property
    def ready(self) -> Sequence[PlannedJob]:
        """The jobs that may start now, first come first; it changes with them."""
        return _Ready(self._ready)

    def chain(self, job: PlannedJob) -> list[PlannedJob]:
        """A ready job and all that need nothing but it, or each other, each after what it needs."""
        found = {job.folder.path: job}
        places: list[tuple[int, Path]] = []
        self._offer(job.folder.path, found, places)
        while places:
            _, path = heapq.heappop(places)
            if path not in found:
                found[path] = self._jobs[path]
                self._offer(path, found, places)
        return list(found.values())

    def _offer(self, path: Path, found: Mapping[Path, PlannedJob], places: list[tuple[int, Path]]) -> None:
        """Take what can follow the last one found by its place in the order."""
        for follower in self._followers.get(path, ()):
            unmet = self._unmet.get(follower)
            if unmet and follower not in self._ahead and unmet <= found.keys():
                heapq.heappush(places, (self._place[follower], follower))

    def start(self, job: PlannedJob) -> None:
        """Take a job out of the ready ones, or out of those that wait."""
        path = job.folder.path
        self._withdraw(path)
        self._started.add(path)
        if self._unmet.get(path):
            self._ahead.add(path)
        for follower in self._followers.get(path, ()) if self._looks_ahead else ():
            self._look_ahead(follower)

    def _withdraw(self, path: Path) -> None:
        """Take a job out of the ready ones, if it is there."""
        turn = self._turns.pop(path, None)
        if turn is not None:
            del self._ready[bisect.bisect_left(self._ready, (turn, self._place[path]), key=lambda entry: entry[:2])]

    def _look_ahead(self, path: Path) -> None:
        """Make a job ready of which all that it needs has been started."""
        unmet = self._unmet.get(path)
        is_open = path not in self._turns and path not in self._started
        if self._looks_ahead and unmet and is_open and unmet <= self._started:
            self.put_back(self._jobs[path])

    def take_back(self, job: PlannedJob) -> None:
        """A job that was started together with others was not begun; it waits for what it needs as before."""
        path = job.folder.path
        self._ahead.discard(path)
        self.stop(job)
        if path in self._unmet and not self._unmet[path]:
            self.put_back(job)
        self._look_ahead(path)

    def stop(self, job: PlannedJob) -> None:
        """A started job runs no more and is not done: what was ready only because it had been started waits again."""
        path = job.folder.path
        self._started.discard(path)
        for follower in self._followers.get(path, ()) if self._looks_ahead else ():
            if self._unmet.get(follower):
                self._withdraw(follower)

    def put_back(self, job: PlannedJob, turn: int = 0) -> None:
        """Make a started job ready again.

        Args:
            job: the job.
            turn: 0 for its own place; a higher one after all jobs with a lower one.
        """
        path = job.folder.path
        self.stop(job)
        self._turns[path] = turn
        bisect.insort(self._ready, (turn, self._place[path], self._jobs[path]), key=lambda entry: entry[:2])

    def finish(self, job: PlannedJob) -> None:
        """A job is done; what waited for it alone becomes ready."""
        for follower in self._followers.get(job.folder.path, ()):
            unmet = self._unmet.get(follower)
            if unmet and job.folder.path in unmet:
                unmet.remove(job.folder.path)
                if not unmet and follower not in self._ahead and follower not in self._turns:
                    self.put_back(self._jobs[follower])

    def fail(self, job: PlannedJob) -> list[PlannedJob]:
        """A job will not be done; returns those that can never start because of it, which leave the schedule."""
        lost: list[PlannedJob] = []
        waiting = [job.folder.path]
        while waiting:
            for follower in self._followers.get(waiting.pop(), ()):
                if self._unmet.pop(follower, None):
                    self._withdraw(follower)
                    lost.append(self._jobs[follower])
                    waiting.append(follower)
        return lost
