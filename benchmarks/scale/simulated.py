"""10,000 experiments on 100 slots of a cluster that is played: its clock jumps; plan, files and runner are real."""

import dataclasses
import functools
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import sft
from benchmarks.commands import ROOT, seconds_of
from benchmarks.engine.tiny_project import config
from benchmarks.report import Figure
from sft.exceptions import MachineError
from sft.experiments.executors.protocol import JobAttempt, Request
from sft.experiments.planning.plan import GridPlan
from sft.experiments.running import run_plan
from sft.experiments.running.settings import RunRequest, RunSettings, Surroundings
from sft.experiments.running.stage_costs import StageCosts, row_counts
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import locked
from sft.terminal.live.lines import display_for
from tests.support.played_cluster import Course, PlayedCluster, PlayedHandle, leave_result

PROJECT = """
import pathlib, sys
from benchmarks.engine.tiny_project import write_project
write_project(pathlib.Path(sys.argv[1]))
"""
GRID = """
local grid = import 'sft/grid.libsonnet';
local values(name, n, patch) = {{ [name + std.toString(i)]: patch(i) for i in std.range(1, n) }};
grid.product({base}, [
  values('rank', 20, function(i) {{ lora: {{ r: i }} }}),
  values('rate', 20, function(i) {{ training: {{ trainer_args: {{ learning_rate: i * 1e-4 }} }} }}),
  grid.seeds(std.range(1, 5)),
  values('icl', 5, function(i) {{ inference: {{ icl_examples: i - 1 }} }}),
])
"""
FEW = 1_500
"""Experiments of the first of two runs, which tells whether a stage costs the same in both."""
UNDONE = 0.03
MEASURED_EACH = 20
"""One of so many results is measured: to ask for the time costs as much as some results."""
WANTED_CPU_MS, WANTED_RATIO, WANTED_MB, WANTED_FIRST = 5.0, 1.05, 600, 10.0


class FirstJob(MachineError):
    """The first job was submitted, and nothing more is wanted."""


class MeasuredCluster(PlayedCluster):
    """Notes when the first job comes, and what it costs itself."""

    def __init__(self) -> None:
        super().__init__(Course(), self._leave)
        self.first_at: float | None = None
        self.own_cpu = 0.0
        """CPU seconds that the results take, which workers would write."""
        self._n_results = 0

    def submit(self, chain: Sequence[JobAttempt], request: Request) -> Sequence[PlayedHandle]:
        if self.first_at is None:
            self.first_at = time.process_time()
        return super().submit(chain, request)

    def _leave(self, folder: JobFolder) -> None:
        self._n_results += 1
        if self._n_results % MEASURED_EACH:
            leave_result(folder)
            return
        began = time.process_time()
        leave_result(folder)
        self.own_cpu += MEASURED_EACH * (time.process_time() - began)


class _Stops(MeasuredCluster):
    def submit(self, chain: Sequence[JobAttempt], request: Request) -> Sequence[PlayedHandle]:
        super().submit(chain, request)
        raise FirstJob("the first job")


def figures(folder: Path) -> Iterator[Figure]:
    """A part of the grid, then all of it, each from an empty folder; then the start of a run that has little left."""
    seconds_of([sys.executable, "-c", PROJECT, str(folder)], ROOT)  # torch stays out of this process
    base = config(lora={}, dataset=config()["dataset"] | {"shots": 4})
    (folder / "grid.jsonnet").write_text(GRID.format(base=json.dumps(base)), "utf-8")
    began, before = time.process_time(), _seconds_of_children()
    plan = sft.plan(folder / "grid.jsonnet")
    note = f"and {_seconds_of_children() - before:.1f} in its children: Jsonnet, tokenizer"
    yield Figure(f"planning {len(plan.experiments):,} experiments", time.process_time() - began, "s of CPU", note)
    small = dataclasses.replace(plan, experiments=plan.experiments[:FEW])
    few = _run(small, folder / "few", MeasuredCluster)
    yield from _figures(few)
    run = _run(plan, folder / "all", MeasuredCluster)
    yield from _figures(run)
    wanted = f"wanted: at most {WANTED_FIRST:g}"
    yield Figure("to the first job, fresh folder", run.to_first, "s of CPU", wanted)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Figure("peak memory, with the planning", peak, "MB", f"wanted: at most {WANTED_MB}")
    results = ResultsFolder(folder / "all")
    for stage in ("infer", "evaluate"):
        for job in results.job_folders(stage)[:: round(1 / UNDONE)]:
            job.manifest.unlink()
    yield Figure("to the first job, 97 % done", _run(plan, folder / "all", _Stops).to_first, "s of CPU", wanted)


def _seconds_of_children() -> float:
    """CPU seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclasses.dataclass(frozen=True)
class _Run:
    n_stages: int
    cluster: MeasuredCluster
    to_first: float
    """CPU seconds from the plan to the first submission."""
    cpu: float
    """CPU seconds of all that follows."""


def _run(plan: GridPlan, folder: Path, kind: type[MeasuredCluster]) -> _Run:
    made: list[MeasuredCluster] = []
    count = 0

    def make(_settings: RunSettings, _say: object) -> MeasuredCluster:
        made.append(kind())
        return made[0]

    results, costs = ResultsFolder(folder), StageCosts(row_counts(plan.experiments))
    vars(run_plan).update(make_executor=make, Surroundings=functools.partial(Surroundings, backoff_seconds=0.0))
    began = time.process_time()
    with open(f"{folder}.log", "w", encoding="utf-8") as log, locked(results):
        watchers = run_plan.Watchers(display_for(log, costs), lambda: None, costs)
        request, settings = RunRequest("metrics", sets_grid=True), RunSettings(retries=9)
        try:
            outcome = run_plan.run_plan(plan, results, request, settings, watchers)
            count = len(outcome.work.needed)
            if len(outcome.summary.finished) < count:
                raise RuntimeError(f"{count - len(outcome.summary.finished)} stages were not done")
        except FirstJob:
            pass
    now = time.process_time()
    first = made[0].first_at or now
    return _Run(count, made[0], first - began, now - first - made[0].own_cpu)


def _figures(run: _Run) -> Iterator[Figure]:
    cluster, slots = run.cluster, run.cluster.course.slots
    title = f"{run.n_stages:,} stages"
    wanted = f"wanted: at most {WANTED_CPU_MS:g}"
    yield Figure(f"{title}: the runner, for each", 1000 * run.cpu / run.n_stages, "ms of CPU", wanted)
    least = max(cluster.longest, cluster.work / slots) + cluster.course.queue_seconds
    note = f"wanted: at most {WANTED_RATIO:g}; {cluster.n_chains:,} chains, {least:.0f} s"
    yield Figure(f"{title}: makespan / (max(longest chain, work / slots) + queue)", cluster.now / least, "x", note)
