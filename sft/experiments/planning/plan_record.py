"""A plan for programs: `sft plan --json`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.config.older_keys import instead_of
from sft.data.profile.profile import DataProfile
from sft.exceptions import InvalidExperiments, MachineError
from sft.experiments.executors import make_executor
from sft.experiments.executors.choice import in_force
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.planning.new_rows_hints import finished_trainings, new_rows_hints
from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.experiments.planning.plan_warnings import version_warnings
from sft.experiments.planning.prompt_hints import prompt_hints
from sft.experiments.planning.rerun_reasons import plan_reasons
from sft.experiments.planning.reuse import PlannedRun, planned_baselines, planned_exports, planned_run
from sft.experiments.reusing.other_results import NO_OTHERS, OtherResults
from sft.pipeline.differences import Difference
from sft.pipeline.jobs import PlannedJob
from sft.pipeline.passed_through import written_defaults
from sft.runs.files import ResultsFolder

Reasons = Mapping[Path, Sequence[Difference]]
"""Why each job that would run does so, by its folder."""


def plan_record(
    plan: GridPlan, results: ResultsFolder, others: OtherResults = NO_OTHERS, *, why: bool = False
) -> dict[str, Any]:
    """A checked grid against a results folder; docs/json.md says what the keys mean.

    Args:
        plan: the checked grid.
        results: the results folder.
        others: other ones, from which finished stages are taken.
        why: whether each stage that would run tells in which keys it differs from the nearest finished one.
    """
    run, baselines = planned_run(plan, results, others), planned_baselines(plan, results, others)
    exports = planned_exports(plan, results, others)
    reasons: Reasons | None = None
    if why:
        reasons = {
            path: told for part in (exports, run, baselines) for path, told in plan_reasons(part, results).items()
        }
    counts = exports.counts() | run.counts() | baselines.counts()
    return {
        "grid": plan.source,
        "results": str(results.path),
        "executor": None if plan.executor is None else dataclasses.asdict(plan.executor),
        "findings": [],
        "counts": {stage: dataclasses.asdict(counts) for stage, counts in counts.items()},
        "experiments": [_experiment(planned, run, results, reasons) for planned in plan.experiments],
        "baselines": _goals(baselines, results, reasons),
        "exports": _goals(exports, results, reasons),
        "no_effect": [
            {"key": key, "instead": instead_of(key), "experiments": names}
            for key, names in plan.without_effect().items()
        ],
        "as_by_default": [
            {"key": key, "experiments": names} for key, names in plan.by_text(_written_as_by_default).items()
        ],
        "warnings": all_warnings(plan, run, results),
        "data": [_data(profile) for profile in plan.data],
    }


def refused_record(error: InvalidExperiments, results: ResultsFolder) -> dict[str, Any]:
    """The same of a grid that cannot be run: its findings, and nothing else."""
    lists = ("experiments", "baselines", "exports", "no_effect", "as_by_default", "warnings", "data")
    empty: dict[str, Any] = {"counts": {}, **{key: [] for key in lists}}
    source = {"grid": error.source, "results": str(results.path), "executor": None}
    return {**source, "findings": list(error.findings), **empty}


def all_warnings(plan: GridPlan, run: PlannedRun, results: ResultsFolder) -> list[str]:
    """What the plan says of the grid, of finished stages that this machine would compute otherwise, of the machines
    that are to run it, and of finished stages that could do what others would be run for.

    Raises:
        UserError: an option of the grid's executor names what its cluster does not have.
    """
    done = [job for path, job in run.jobs.items() if path in run.done]
    to_run = (job.record for job in run.to_run.values() if job.record.stage == "train")
    trainings = {record.name: record.key_fields for record in to_run}
    finished = list(finished_trainings(results)) if trainings else []
    hints = [
        f"{name} would be trained anew, and a finished training differs only in the file of its data; if only the "
        f"rows to answer are new: {command}"
        for name, command in new_rows_hints(trainings, finished, results).items()
    ]
    hints += prompt_hints(trainings, finished)
    return [*plan.warnings, *version_warnings(done), *_machine_warnings(plan, run), *hints]


def _machine_warnings(plan: GridPlan, run: PlannedRun) -> list[str]:
    """What the machines of a run lack for it: this one, or those of the cluster that the grid names, which is asked.

    Raises:
        UserError: an option of the grid's executor names what its cluster does not have.
    """
    executor = make_executor(in_force(ExecutorOptions(), plan.executor), lambda _: None)
    try:
        if executor.takes_chains:
            executor.expect(list(run.to_run.values()))
        return executor.warnings(run.experiments, run.done)
    except MachineError as error:
        return [str(error)]
    finally:
        executor.close()


def _written_as_by_default(config: ExperimentConfig) -> list[str]:
    """The keys that are written and make no other key of a stage than if they were left out."""
    return [path for path, _ in written_defaults(config)]


def _experiment(
    planned: PlannedExperiment, run: PlannedRun, results: ResultsFolder, reasons: Reasons | None
) -> dict[str, Any]:
    name, data = planned.experiment.name, planned.data
    return {
        "name": name,
        "id": planned.keys.experiment_id,
        "stages": [_stage(job, name, run, results, reasons) for job in run.experiments[name]],
        "rows": {
            "train": data.n_train,
            "dev": data.n_dev,
            "test": data.n_test,
            "leaked": data.n_leaked,
            "dropped": dict(data.n_dropped),
            "empty": dict(data.n_empty),
        },
        "label_counts": data.label_counts,
    }


def _goals(run: PlannedRun, results: ResultsFolder, reasons: Reasons | None) -> list[dict[str, Any]]:
    """The jobs beside the experiments, each the last one of what is called by its key or folder."""
    return [_stage(jobs[-1], name, run, results, reasons) for name, jobs in run.experiments.items()]


def _data(profile: DataProfile) -> dict[str, Any]:
    """A profile with its splits by name."""
    record = dataclasses.asdict(profile)
    return record | {"splits": {split.pop("name"): split for split in record["splits"]}}


def _stage(
    job: PlannedJob, name: str, run: PlannedRun, results: ResultsFolder, reasons: Reasons | None
) -> dict[str, Any]:
    path = job.folder.path
    why = [{"key": item.key or None, "text": item.text} for item in (reasons or {}).get(path, ())]
    owner, standing = run.owners[path], run.standings[path]
    return {
        "stage": job.record.stage,
        "key": job.record.key,
        "folder": path.relative_to(results.path).as_posix(),
        "plan": _plan_of(path, run),
        "shared_with": None if owner == name else owner,
        "state": standing.state,
        "reused_from": str(run.elsewhere[path].folder.path) if path in run.elsewhere else None,
        "error": None if standing.error is None else {"kind": standing.error.kind, "message": standing.error.message},
        **({} if reasons is None else {"why": why}),
    }


def _plan_of(path: Path, run: PlannedRun) -> str:
    """What the next run does with a job."""
    parts = {"done": run.done, "to run": run.to_run, "held up": run.left, "reused": run.elsewhere}
    return next((word for word, paths in parts.items() if path in paths), "not needed")
