"""A plan as text: what would run, what is shared, what is done, what has no effect, and every default in force."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from sft.adapters.options import adapter_method
from sft.config.experiment import ExperimentConfig
from sft.experiments.effects import without_effect
from sft.experiments.planning import GridPlan, PlannedExperiment
from sft.inference.options import effective_generation_args
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.files import ResultsFolder
from sft.runs.records import StageName
from sft.tasks.inputs import task_of
from sft.training.options import effective_trainer_args

SHOWN_EXPERIMENTS = 200
STAGES: tuple[StageName, ...] = ("train", "infer", "evaluate")


def plan_lines(plan: GridPlan, results: ResultsFolder) -> list[str]:
    """The plan of a grid against a results folder."""
    folders = ExperimentFolders(results)
    jobs = {
        planned.experiment.name: jobs_of(planned.experiment, planned.keys, folders, results, "metrics")
        for planned in plan.experiments
    }
    unique = {job.folder.path: job for planned in jobs.values() for job in planned}
    done = {path for path, job in unique.items() if job.is_done}
    lines = [f"{len(plan.experiments)} experiments from {plan.source}", *_stage_lines(jobs, unique, done), ""]
    lines += _experiment_lines(plan, jobs, done)
    lines += [*_label_lines(plan), *_no_effect_lines(plan)]
    lines += ["", "Defaults in force (what is not written in the configs):", *_default_lines(plan)]
    return [*lines, *(f"warning: {warning}" for warning in plan.warnings)]


def _stage_lines(
    jobs: Mapping[str, list[PlannedJob]], unique: Mapping[Any, PlannedJob], done: set[Any]
) -> Iterator[str]:
    asked = Counter(job.record.stage for planned in jobs.values() for job in planned)
    there = Counter(job.record.stage for job in unique.values())
    finished = Counter(job.record.stage for path, job in unique.items() if path in done)
    for stage in STAGES:
        if asked[stage]:
            to_run = there[stage] - finished[stage]
            saved = asked[stage] - there[stage]
            yield f"  {stage:<8} {to_run} to run, {finished[stage]} done, {saved} shared ({asked[stage]} asked for)"


def _experiment_lines(plan: GridPlan, jobs: Mapping[str, list[PlannedJob]], done: set[Any]) -> list[str]:
    first: dict[Any, str] = {}
    lines = []
    for planned in plan.experiments[:SHOWN_EXPERIMENTS]:
        name = planned.experiment.name
        stages = []
        for job in jobs[name]:
            owner = first.setdefault(job.folder.path, name)
            state = "done" if job.folder.path in done else "run" if owner == name else f"as {owner}"
            stages.append(f"{job.record.stage} {job.record.key[:8]} {state}")
        lines.append(f"  {name}: {' · '.join(stages)}{_data_text(planned)}")
    if len(plan.experiments) > SHOWN_EXPERIMENTS:
        lines.append(f"  ... and {len(plan.experiments) - SHOWN_EXPERIMENTS} more")
    return lines


def _data_text(planned: PlannedExperiment) -> str:
    data = planned.data
    dev = "" if data.n_dev is None else f", {data.n_dev} dev"
    leaks = f", {data.n_leaked} leaked" if data.n_leaked else ""
    return f" · {data.n_train} shots{dev}, {data.n_test} test{leaks}"


def _label_lines(plan: GridPlan) -> list[str]:
    """Each distinct label set, in order, with the train rows of each label."""
    found = dict.fromkeys(
        ", ".join(f"{label} {count}" for label, count in planned.data.label_counts.items())
        for planned in plan.experiments
        if planned.data.label_counts
    )
    return [f"  labels (train rows): {text}" for text in found]


def _no_effect_lines(plan: GridPlan) -> list[str]:
    names: dict[str, list[str]] = {}
    for planned in plan.experiments:
        for path in without_effect(planned.experiment.config):
            names.setdefault(path, []).append(planned.experiment.name)
    return [f"  no effect here: {path} ({_some(found)})" for path, found in names.items()]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _default_lines(plan: GridPlan) -> list[str]:
    """One line per default and value, with how many experiments it is in force in, where that is not all."""
    shown = plan.experiments[:SHOWN_EXPERIMENTS]
    found = Counter((path, repr(value)) for planned in shown for path, value in _defaults(planned))
    return [
        f"  {path} = {value}" + ("" if count == len(shown) else f"  ({count} of {len(shown)} experiments)")
        for (path, value), count in sorted(found.items())
    ]


def _defaults(planned: PlannedExperiment) -> Iterator[tuple[str, Any]]:
    config = planned.experiment.config
    yield from _unwritten(config, "")
    if config.evaluation.metrics is None:
        yield "evaluation.metrics", list(planned.experiment.metrics)
    if config.trains:
        yield from _training_defaults(config)
    if not task_of(config).has_labels:
        written = config.inference.generation_args
        in_force = effective_generation_args(written, config.inference_prompting.max_output_length)
        yield from _added("inference.generation_args", written, in_force)


def _training_defaults(config: ExperimentConfig) -> Iterator[tuple[str, Any]]:
    written = config.training.trainer_args if config.training else {}
    in_force = effective_trainer_args(written, config.adapter_method)
    yield from _added("training.trainer_args", written, in_force)
    section = "lora" if config.lora is not None else "adapter"
    yield from _added(section, config.adapter_options, adapter_method(config.adapter_method).defaults())


def _added(section: str, written: Mapping[str, Any], in_force: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"{section}.{key}", value) for key, value in in_force.items() if key not in written)


def _unwritten(section: BaseModel, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        path = f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _unwritten(value, f"{path}.")
        elif name not in section.model_fields_set and value is not None and value != {}:
            yield path, value
