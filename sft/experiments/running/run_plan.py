"""Runs a plan in a results folder: its records, its jobs, and the adapters that users asked to have elsewhere."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sft.experiments.executors import make_executor
from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.experiments.reusing.other_results import OtherResults, other_results
from sft.experiments.reusing.taking_over import Say, take_over
from sft.experiments.running.board_refresh import StartBoard
from sft.experiments.running.display import Display
from sft.experiments.running.grid_files import read_grid, write_configs, write_grid
from sft.experiments.running.recovery import sweep
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import Workload, workload
from sft.experiments.running.settings import RunRequest, RunSettings, Surroundings
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.status_writer import Journal
from sft.experiments.running.summary import RunFacts, RunSummary
from sft.experiments.running.trained_adapters import copy_adapters, find_adapters
from sft.pipeline.exports import export_jobs
from sft.pipeline.job_graph import unique_jobs
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, baseline_jobs, has_memory_step, jobs_of, with_adapters
from sft.processes.garbage import without_search_for_cycles
from sft.runs.files import DEFAULT_RESULTS, JobFolder, ResultsFolder
from sft.runs.lock import settle
from sft.runs.records import JOB_STAGES, StatusRecord, read_status


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
    """Experiment name -> its folder; for the goal `adapter` that of its train stage, with folds one for each."""
    statuses: dict[str, StatusRecord]
    """Experiment name -> status, of those that did not reach the goal."""
    work: Workload
    """The jobs as the run found them."""
    seconds: float
    """The jobs took, together with all between them."""
    unwritten: tuple[str, ...] = ()
    """What could not be written after the last job, one line each: copies of adapters, the leaderboard."""
    collected: frozenset[Path] = frozenset()
    """Folders of the jobs that had ended with their results, while no run watched them, when this run began."""
    warnings: tuple[str, ...] = ()
    """What else went wrong after the last job, and is no fault of the machine."""

    @property
    def unexported(self) -> frozenset[str]:
        """Names of the experiments of which an export failed that was asked for beside their results."""
        exports = {path: job for path, job in self.work.needed.items() if job.record.stage == "export"}
        return frozenset(job.record.name for path, job in exports.items() if path in self.summary.failed)

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
            collected=self.collected,
        )


def run_plan(
    plan: GridPlan, results: ResultsFolder, request: RunRequest, settings: RunSettings, watchers: Watchers
) -> RunOutcome:
    """Run what is not done of a plan; the folder's lock is held by the caller.

    Raises:
        UserError: a choice of GPUs is none.
        MachineError: a GPU is asked for that is not there.
    """
    with without_search_for_cycles():
        jobs = _jobs_by_name(plan, results, request)
        beside = _jobs_beside(plan, results, request)
        _take_over([*unique_jobs(jobs).values(), *beside], results, settings, watchers.display.say)
        work = workload(jobs, is_done=done_in(results), beside=beside)
        executor = make_executor(settings, watchers.display.say)
        executor.expect(list(work.needed.values()))
        for warning in executor.warnings(work.experiments, work.idle):
            watchers.display.say(f"warning: {warning}")
        collected = sweep(results, [job.folder for job in work.needed.values()], watchers.display.say)
        write_grid(plan, jobs, results, sets_grid=request.sets_grid, adds_to_grid=request.adds_to_grid)
        if request.goal != "adapter":
            write_configs(plan, jobs)
    if request.adds_to_grid:
        settle(results)
    surroundings = Surroundings(watchers.costs.cost, watchers.costs.learn, has_memory_step)
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
        collected=collected & work.idle,
        unwritten=tuple(copy_adapters(plan.experiments, results)),
    )


def done_in(results: ResultsFolder) -> Callable[[PlannedJob], bool]:
    """Tells whether a job has nothing to do; of a folder that is not there no manifest is looked for."""
    begun = {folder.path for stage in JOB_STAGES for folder in results.job_folders(stage)}
    return lambda job: job.folder.path in begun and job.is_done


def _jobs_beside(plan: GridPlan, results: ResultsFolder, request: RunRequest) -> list[PlannedJob]:
    """The baselines where metrics are asked for, the exports where adapters may be trained."""
    keyed = [(planned.experiment, planned.keys) for planned in plan.experiments]
    baselines = baseline_jobs(keyed, results) if request.goal == "metrics" else []
    return [*baselines, *(export_jobs(keyed, results) if request.trains else ())]


def _jobs_by_name(plan: GridPlan, results: ResultsFolder, request: RunRequest) -> dict[str, list[PlannedJob]]:
    """The jobs of each experiment; trainings of folds, which nothing joins, stand under a name each."""
    folders = ExperimentFolders(results)
    found: dict[str, list[PlannedJob]] = {}
    for planned in plan.experiments:
        name, jobs = planned.experiment.name, _jobs(planned, folders, results, request)
        stand_alone = request.goal == "adapter" and len(jobs) > 1
        found |= {f"{name} fold {job.record.fold}": [job] for job in jobs} if stand_alone else {name: jobs}
    return found


def _take_over(jobs: Sequence[PlannedJob], results: ResultsFolder, settings: RunSettings, say: Say) -> None:
    """Finished stages of the other results folders that the user names, in place of jobs that are not done here."""
    if settings.reuse:
        others = other_results(settings.reuse, results)
        journal = Journal(results, say)
        take_over(jobs, others, results, journal.record, say)


def _jobs(
    planned: PlannedExperiment, folders: ExperimentFolders, results: ResultsFolder, request: RunRequest
) -> list[PlannedJob]:
    jobs = jobs_of(planned.experiment, planned.keys, folders, results, request.goal)
    if request.trains or not planned.keys.trainings:
        return jobs
    adapters = find_adapters(planned, results)
    if adapters is None:
        raise ValueError(f"{planned.experiment.name}: no trained adapter; `require_adapters` comes first")
    places = {results.stage("train", key).path: adapters[key] for key in adapters}
    return [with_adapters(job, places) for job in jobs if job.record.stage != "train"]


def commits_in_force(
    results: ResultsFolder, others: OtherResults, *, looks_in_default: bool = False
) -> dict[str, str]:
    """The hub commits to keep: the folder's own, over those of folders from which stages are taken.

    Args:
        results: the results folder.
        others: from which finished stages are taken, the first first.
        looks_in_default: whether adapters are looked for in `results/` too.
    """
    places = [results, *others.folders, *([ResultsFolder(DEFAULT_RESULTS)] if looks_in_default else [])]
    found: dict[str, str] = {}
    for place in places[::-1]:
        found |= read_grid(place).pinned
    return found
