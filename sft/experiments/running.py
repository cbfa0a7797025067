"""Runs a plan in a results folder: its records, its jobs, and the adapters that users asked to have elsewhere."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.errors import UserError
from sft.experiments.executors import executor_registry
from sft.experiments.planning import GridPlan, PlannedExperiment
from sft.experiments.runner import Display, Runner, RunSummary
from sft.pipeline.jobs import ExperimentFolders, Goal, PlannedJob, jobs_of, with_adapter
from sft.registry import load
from sft.runs.atomic import write_json
from sft.runs.files import ID_DIGITS, JobFolder, ResultsFolder, slug
from sft.runs.manifest import is_done
from sft.runs.records import StatusRecord, read_json_or_none

SCHEMA = 1
DEFAULT_RESULTS = Path("results")


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


@dataclass(frozen=True)
class RunOutcome:
    """What a run left."""

    summary: RunSummary
    folders: dict[str, JobFolder]
    """Experiment name -> its folder; for the goal `adapter` that of its train stage."""
    statuses: dict[str, StatusRecord]
    """Experiment name -> status, of those that did not reach the goal."""


def pinned_commits(results: ResultsFolder) -> dict[str, str]:
    """The hub commits that a results folder has pinned."""
    record = read_json_or_none(results.grid)
    return dict(record.get("pinned", {})) if isinstance(record, dict) else {}


def run_plan(
    plan: GridPlan, results: ResultsFolder, request: RunRequest, display: Display, refresh_board: Callable[[], None]
) -> RunOutcome:
    """Run what is not done of a plan; the folder's lock is held by the caller.

    Raises:
        UserError: an adapter is wanted that no folder has.
    """
    folders = ExperimentFolders(results)
    jobs = {planned.experiment.name: _jobs(planned, folders, results, request) for planned in plan.experiments}
    _write_grid(plan, jobs, results, request)
    if request.goal != "adapter":
        _write_configs(plan, jobs)
    executor = load(executor_registry, "local", "executor")()
    runner = Runner(results, executor, display, refresh_board)
    summary = runner.run([job for planned in jobs.values() for job in planned])
    for planned in plan.experiments:
        own = f"{slug(planned.experiment.name)}-{planned.keys.experiment_id[:ID_DIGITS]}"
        _copy_adapter(planned, results, own if len(plan.experiments) > 1 else None)
    ends = {name: planned[-1] for name, planned in jobs.items() if planned}
    statuses = {
        name: summary.failed[job.folder.path] for name, job in ends.items() if job.folder.path in summary.failed
    }
    return RunOutcome(summary=summary, folders={name: job.folder for name, job in ends.items()}, statuses=statuses)


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


def _write_grid(
    plan: GridPlan, jobs: Mapping[str, list[PlannedJob]], results: ResultsFolder, request: RunRequest
) -> None:
    """Write `grid.json`: the experiments of the folder's boards, and the hub commits in force."""
    previous = read_json_or_none(results.grid)
    kept: dict[str, Any] = {} if request.sets_grid or not isinstance(previous, dict) else previous.get("configs", {})
    added = {}
    if request.adds_to_grid:
        added = {
            planned.experiment.name: {
                "id": planned.keys.experiment_id,
                "folder": jobs[planned.experiment.name][-1].folder.path.relative_to(results.path).as_posix(),
                "config": planned.experiment.resolved_config(),
            }
            for planned in plan.experiments
        }
    pinned = pinned_commits(results) | dict(plan.pinned)
    write_json(results.grid, {"schema": SCHEMA, "source": plan.source, "configs": kept | added, "pinned": pinned})


def _write_configs(plan: GridPlan, jobs: Mapping[str, list[PlannedJob]]) -> None:
    """Write `config.json` of each experiment, with all names it has been run under."""
    names: dict[Path, list[str]] = {}
    first: dict[Path, PlannedExperiment] = {}
    for planned in plan.experiments:
        folder = jobs[planned.experiment.name][-1].folder
        names.setdefault(folder.path, []).append(planned.experiment.name)
        first.setdefault(folder.path, planned)
    for path, own_names in names.items():
        _write_config(JobFolder(path), first[path], own_names)


def _write_config(folder: JobFolder, planned: PlannedExperiment, names: list[str]) -> None:
    previous = read_json_or_none(folder.config)
    known = previous.get("names", []) if isinstance(previous, dict) else []
    record = {
        "schema": SCHEMA,
        "id": planned.keys.experiment_id,
        "names": list(dict.fromkeys([*known, *names])),
        "config": planned.experiment.resolved_config(),
        "config_folder": str(planned.experiment.folder),
        "fingerprints": planned.experiment.fingerprint_record(),
        "stages": {"train": planned.keys.train, "infer": planned.keys.infer},
    }
    if record != previous:
        write_json(folder.config, record)


def _copy_adapter(planned: PlannedExperiment, results: ResultsFolder, subfolder: str | None) -> None:
    """Give the user a copy of the adapter at `trainer_args.output_dir`; in a grid in a subfolder per experiment."""
    training = planned.experiment.config.training
    output = training.trainer_args.get("output_dir") if training else None
    if output is None or planned.keys.train is None:
        return
    source = results.stage("train", planned.keys.train)
    if not is_done(source):
        return
    target = Path(output) / subfolder if subfolder else Path(output)
    shutil.copytree(source.adapter, target, dirs_exist_ok=True)
