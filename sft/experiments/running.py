"""Runs a plan in a results folder: its records, its jobs, and the adapters that users asked to have elsewhere."""

import time
from dataclasses import dataclass

from sft.errors import UserError
from sft.experiments.adapter_copies import copy_adapters
from sft.experiments.board_process import StartBoard
from sft.experiments.costs import StageCosts
from sft.experiments.display import Display
from sft.experiments.executors import make_executor
from sft.experiments.grid_files import read_grid, write_configs, write_grid
from sft.experiments.plan import GridPlan, PlannedExperiment
from sft.experiments.run_facts import RunFacts
from sft.experiments.runner import Runner
from sft.experiments.schedule import Workload, workload
from sft.experiments.settings import RunSettings
from sft.experiments.summary import RunSummary
from sft.experiments.surroundings import Surroundings
from sft.experiments.sweeping import sweep
from sft.pipeline.jobs import ExperimentFolders, Goal, PlannedJob, jobs_of, with_adapter
from sft.pipeline.memory import has_memory_step
from sft.runs.files import DEFAULT_RESULTS, JobFolder, ResultsFolder
from sft.runs.lock import settle
from sft.runs.manifest import is_done
from sft.runs.records import StatusRecord, read_status

__all__ = [
    "RunOutcome",
    "RunRequest",
    "Watchers",
    "commits_in_force",
    "require_adapters",
    "require_training",
    "run_plan",
]


@dataclass(frozen=True)
class RunRequest:
    """What one command wants of a plan."""

    goal: Goal
    sets_grid: bool = False
    """Whether this plan becomes the folder's grid, in place of what was there."""
    adds_to_grid: bool = True
    """Whether its experiments stand on the folder's boards."""
    trains: bool = True
    """Whether missing adapters are trained, or looked for."""
    tracker: str | None = None
    """Where the results are logged after the last job."""


@dataclass(frozen=True)
class Watchers:
    """Who is told how a run goes."""

    display: Display
    start_board: StartBoard
    costs: StageCosts
    """What jobs are ordered by, and what the display tells of the time that is left."""


@dataclass(frozen=True)
class RunOutcome:
    """What a run left."""

    summary: RunSummary
    folders: dict[str, JobFolder]
    """Experiment name -> its folder; for the goal `adapter` that of its train stage."""
    statuses: dict[str, StatusRecord]
    """Experiment name -> status, of those that did not reach the goal."""
    work: Workload
    """The jobs as the run found them."""
    seconds: float
    """The jobs took, together with all between them."""
    unwritten: tuple[str, ...] = ()
    """What could not be written after the last job, one line each: copies of adapters, the leaderboard."""
    warnings: tuple[str, ...] = ()
    """What else went wrong after the last job, and is no fault of the machine."""

    def facts(self) -> RunFacts:
        """What the closing lines are made of."""
        statuses = dict(self.summary.failed)
        for path in self.summary.reused:
            status = read_status(JobFolder(path).status)
            if status is not None:
                statuses[path] = status
        return RunFacts(
            self.work.experiments,
            frozenset(self.work.needed) - self.summary.finished,
            statuses | self.summary.ended,
            self.summary.earlier,
            frozenset(self.summary.ended),
        )


def run_plan(
    plan: GridPlan, results: ResultsFolder, request: RunRequest, settings: RunSettings, watchers: Watchers
) -> RunOutcome:
    """Run what is not done of a plan; the folder's lock is held by the caller.

    Raises:
        UserError: a choice of GPUs is none.
        MachineError: a GPU is asked for that is not there.
    """
    folders = ExperimentFolders(results)
    jobs = {planned.experiment.name: _jobs(planned, folders, results, request) for planned in plan.experiments}
    work = workload(jobs)
    needed = work.needed
    executor = make_executor(settings, watchers.display.say)
    executor.expect(list(needed.values()))
    for warning in executor.warnings(work.experiments, work.idle):
        watchers.display.say(f"warning: {warning}")
    sweep(results, [job.folder for job in needed.values()], watchers.display.say)
    write_grid(plan, jobs, results, sets_grid=request.sets_grid, adds_to_grid=request.adds_to_grid)
    if request.goal != "adapter":
        write_configs(plan, jobs)
    if request.adds_to_grid:
        settle(results)
    costs = watchers.costs
    surroundings = Surroundings(costs.cost, costs.learn, has_memory_step)
    runner = Runner(results, executor, watchers.display, watchers.start_board, settings, surroundings)
    began = time.monotonic()
    summary = runner.run(work)
    ends = {name: planned[-1] for name, planned in jobs.items() if planned}
    return RunOutcome(
        summary=summary,
        folders={name: job.folder for name, job in ends.items()},
        statuses={
            name: summary.failed[job.folder.path] for name, job in ends.items() if job.folder.path in summary.failed
        },
        work=work,
        seconds=time.monotonic() - began,
        unwritten=tuple(copy_adapters(plan.experiments, results)),
    )


def _jobs(
    planned: PlannedExperiment, folders: ExperimentFolders, results: ResultsFolder, request: RunRequest
) -> list[PlannedJob]:
    jobs = jobs_of(planned.experiment, planned.keys, folders, results, request.goal)
    if request.trains or planned.keys.train is None:
        return jobs
    adapter = find_adapter(planned, results)
    if adapter is None:
        raise ValueError(f"{planned.experiment.name}: no trained adapter; `require_adapters` comes first")
    return [with_adapter(job, adapter) for job in jobs if job.record.stage != "train"]


def find_adapter(planned: PlannedExperiment, results: ResultsFolder) -> JobFolder | None:
    """The finished train stage of an experiment: in its own results folder, else in `results/`."""
    places = (results, ResultsFolder(DEFAULT_RESULTS))
    folders = [place.stage("train", planned.keys.train) for place in places if planned.keys.train is not None]
    return next((folder for folder in folders if is_done(folder)), None)


def commits_in_force(results: ResultsFolder, request: RunRequest) -> dict[str, str]:
    """The hub commits to keep: the folder's own, over those of the folder in which an adapter is looked for."""
    looked_in = {} if request.trains else read_grid(ResultsFolder(DEFAULT_RESULTS)).pinned
    return {**looked_in, **read_grid(results).pinned}


def require_adapters(plan: GridPlan, results: ResultsFolder) -> None:
    """Refuse experiments whose adapter no folder holds, with the command that trains it.

    Raises:
        UserError: an adapter is not trained yet.
    """
    for planned in plan.experiments:
        if planned.keys.train is not None and find_adapter(planned, results) is None:
            raise UserError(
                f"{planned.experiment.name}: its adapter is not trained yet (no finished stage train/"
                f"{planned.keys.train} in {results.path}/ or {DEFAULT_RESULTS}/); "
                f"run: sft train {plan.source} --results-path {results.path}",
                kind="model",
            )


def require_training(plan: GridPlan) -> None:
    """Refuse experiments that train nothing, where an adapter is what is wanted.

    Raises:
        UserError: one trains nothing.
    """
    for planned in plan.experiments:
        if planned.keys.train is None:
            raise UserError(
                f"{planned.experiment.name} trains nothing: give it `lora: {{}}` or another adapter, and shots above 0"
            )
