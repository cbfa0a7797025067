"""10,000 experiments on 100 slots of a cluster that is played: its clock jumps, files and runner are real."""

import heapq
import random
import resource
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.report import Figure
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
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import locked
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, JobRecord, StageName, UnderWay
from sft.terminal.live.lines import display_for

TRAININGS, INFERENCES = 2_000, 5
"""Trainings, and inferences of each with an evaluation each."""
SLOTS = 100
MEDIAN_SECONDS, SPREAD = 60.0, 0.7
FAILURES = 0.05
QUEUE_SECONDS = 30.0
WANTED_CPU_MS = 5.0
WANTED_RATIO = 1.05
WANTED_MB = 600


class PlayedHandle:
    """A job that ends at a moment of the played clock."""

    def __init__(self, job: JobAttempt) -> None:
        self.job = job
        self.standing: UnderWay = "queued"
        self.is_last = False
        """Whether its end frees the slot of its chain."""
        self._outcome: Outcome | None = None

    @property
    def placement(self) -> Placement:
        """Nowhere."""
        return Placement("played", Lease(), None, "fresh")

    def outcome(self) -> Outcome | None:
        """How it ended."""
        return self._outcome

    def finish(self, outcome: Outcome) -> None:
        """It has ended."""
        self._outcome = outcome

    def stop(self, _grace: float) -> None:
        """Nobody asks."""

    def dump_stacks(self) -> None:
        """Nobody asks."""


class PlayedCluster:
    """An executor whose jobs take seconds of a clock that jumps from end to end."""

    takes_chains = True

    def __init__(self, jobs: Sequence[PlannedJob], chance: random.Random) -> None:
        self._needs = {job.folder.path: set(job.needs) for job in jobs}
        self._chance = chance
        self._ends: list[tuple[float, int, PlayedHandle, Outcome]] = []
        self._busy = 0
        self._n_submitted = 0
        self.now = 0.0
        self.work = 0.0
        """Seconds that slots were taken, retries included."""
        self.longest = 0.0
        """Seconds of the longest chain."""
        self.own_cpu = 0.0
        """CPU seconds of this class, which are not the runner's."""

    def expect(self, _jobs: Sequence[PlannedJob]) -> None:
        """All is there."""

    def warnings(self, _experiments: Mapping[str, Sequence[PlannedJob]], _reused: Collection[Path]) -> list[str]:
        """None."""
        return []

    def capacity(self) -> Capacity:
        """A slot for each chain."""
        return Capacity(is_full=self._busy >= SLOTS)

    def startable(self, waiting: Sequence[Item], _request_of: Callable[[Item], Request]) -> Iterator[Item]:
        """As many as there are slots."""
        while waiting and self._busy < SLOTS:
            yield waiting[0]

    def submit(self, chain: Sequence[JobAttempt], _request: Request) -> Sequence[PlayedHandle]:
        """Work out at once how the chain will go."""
        began = time.process_time()
        self._busy += 1
        at, done = self.now + QUEUE_SECONDS, set[Path]()
        inside = {job.folder.path for job in chain}
        handles = [PlayedHandle(job) for job in chain]
        for handle in handles:
            path = handle.job.folder.path
            if not self._needs[path] & inside <= done:
                self._end(at, handle, Outcome(75, None, MemorySeen(), was_begun=False))
                continue
            at += self._chance.lognormvariate(0.0, SPREAD) * MEDIAN_SECONDS
            if self._chance.random() < FAILURES:
                error = ErrorRecord("network", "played")
                self._end(at, handle, Outcome(1, error, MemorySeen()))
            else:
                done.add(path)
                self._end(at, handle, Outcome(0, None, MemorySeen()))
        handles[-1].is_last = True
        self.work += at - self.now
        self.longest = max(self.longest, at - self.now)
        self.own_cpu += time.process_time() - began
        return handles

    def _end(self, at: float, handle: PlayedHandle, outcome: Outcome) -> None:
        self._n_submitted += 1
        heapq.heappush(self._ends, (at, self._n_submitted, handle, outcome))

    def adopt(self, _job: JobAttempt) -> None:
        """Nothing runs from before."""

    def ended(self, _timeout: float) -> Sequence[PlayedHandle]:
        """The next end, at once."""
        began = time.process_time()
        found = []
        if self._ends:
            self.now, _, handle, outcome = heapq.heappop(self._ends)
            if outcome.was_begun and outcome.code == 0:
                _leave_result(handle.job.folder)
            handle.finish(outcome)
            self._busy -= handle.is_last
            found = [handle]
        self.own_cpu += time.process_time() - began
        return found

    def close(self) -> None:
        """Nothing runs."""


def _leave_result(folder: JobFolder) -> None:
    result = folder.metrics if folder.path.parent.name == "experiments" else folder.path / "result.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text("{}", "utf-8")
    write_manifest(folder, [result])


def figures(folder: Path) -> Iterator[Figure]:
    """The whole grid once, from an empty folder."""
    results = ResultsFolder(folder / "results")
    experiments = _experiments(results)
    began = time.process_time()
    work = workload(experiments)
    cluster = PlayedCluster(list(work.needed.values()), random.Random(1))
    with (folder / "log").open("w", encoding="utf-8") as log:
        settings, around = RunSettings(retries=9), Surroundings(backoff_seconds=0.0)
        runner = Runner(results, cluster, display_for(log), lambda: None, settings, around)
        with locked(results):
            summary = runner.run(work)
    cpu = time.process_time() - began - cluster.own_cpu
    if summary.failed:
        raise RuntimeError(f"{len(summary.failed)} stages failed")
    n_stages = len(work.needed)
    at_least = max(cluster.longest, cluster.work / SLOTS)
    note = f"{n_stages} stages, {FAILURES:.0%} of tries fail; wanted: {{}}"
    wanted = note.format(f"at most {WANTED_CPU_MS:g}")
    yield Figure("runner, for each stage", 1000 * cpu / n_stages, "ms of CPU", wanted)
    wanted = f"wanted: at most {WANTED_RATIO:g}"
    yield Figure("makespan / max(longest chain, work / slots)", cluster.now / at_least, "x", wanted)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("peak memory", peak, "MB", f"wanted: at most {WANTED_MB}")


def _experiments(results: ResultsFolder) -> dict[str, list[PlannedJob]]:
    found = {}
    for training in range(TRAININGS):
        config = {"seed": training % 5, "set_up": training // 5}
        train = _job("train", f"t{training}", results.stage("train", f"t{training}"), config)
        for number in range(INFERENCES):
            name = f"e{training}-{number}"
            infer = _job("infer", name, results.stage("infer", name), config, train)
            evaluate = _job("evaluate", name, JobFolder(results.experiments / name), config, infer, train)
            found[name] = [train, infer, evaluate]
    return found


def _job(stage: StageName, key: str, folder: JobFolder, config: dict[str, int], *needs: PlannedJob) -> PlannedJob:
    record = JobRecord(stage, key, key, dict(config), "", {})
    return PlannedJob(folder, record, tuple(need.folder.path for need in needs))
