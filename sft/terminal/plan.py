"""A plan as text: what would run, what is shared, what is done, what has no effect, and every default in force."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from sft.config.older_keys import instead_of
from sft.experiments.planning.defaults import default_lines
from sft.experiments.planning.plan import GridPlan, PlannedExperiment
from sft.experiments.planning.plan_record import all_warnings
from sft.experiments.planning.rerun_reasons import plan_reasons, why_lines
from sft.experiments.planning.reuse import PlannedRun, StageCounts, planned_baselines, planned_exports, planned_run
from sft.experiments.reusing.other_results import NO_OTHERS, OtherResults
from sft.pipeline.differences import shown
from sft.pipeline.jobs import PlannedJob
from sft.pipeline.passed_through import written_defaults
from sft.runs.files import ResultsFolder
from sft.runs.records import StageName
from sft.terminal.data_profile import data_lines
from sft.terminal.job_story import story
from sft.training.class_weights import weighs_labels, weights_of
from sft.wording import and_more, counted, shown_path, some

SHOWN_EXPERIMENTS = 200
SHOWN_STOPPED = 50
SHOWN_NAMES = 3


def plan_lines(
    plan: GridPlan, results: ResultsFolder, others: OtherResults = NO_OTHERS, *, why: bool = False
) -> list[str]:
    """The plan of a grid against a results folder.

    Args:
        plan: the checked grid.
        results: the results folder.
        others: other ones, from which finished stages are taken.
        why: whether to tell in which keys each stage that would run differs from the nearest finished one.
    """
    run, baselines = planned_run(plan, results, others), planned_baselines(plan, results, others)
    exports = planned_exports(plan, results, others)
    lines = [f"{len(plan.experiments)} experiments from {plan.source}", *_executor_lines(plan)]
    lines += [*_stage_lines(run), *_stage_lines(baselines)]
    lines += _export_lines(exports, run)
    lines += ["", _saving_line(run), ""]
    lines += _experiment_lines(plan, run)
    lines += _unequal_label_lines(plan)
    unused = plan.without_effect()
    lines += [f"  no effect here: {_unused(path)} ({some(names, SHOWN_NAMES)})" for path, names in unused.items()]
    lines += [line for part in (run, baselines) for line in _stopped_lines(part, results)]
    lines += _stopped_lines(exports, results, told=run.jobs)
    if why:
        reasons = plan_reasons(exports, results) | plan_reasons(run, results) | plan_reasons(baselines, results)
        to_run = list({**run.to_run, **baselines.to_run, **exports.to_run}.values())
        lines += ["", *why_lines(to_run, reasons), *_written_default_lines(plan)]
    lines += data_lines(plan.data)
    lines += ["", "Defaults in force (what is not written in the configs):"]
    lines += default_lines(plan.experiments[:SHOWN_EXPERIMENTS])
    return [*lines, *(f"warning: {warning}" for warning in all_warnings(plan, run, results))]


def _executor_lines(plan: GridPlan) -> Iterator[str]:
    """Where the grid says that its stages run."""
    if plan.executor is not None:
        options = ", ".join(f"{name} {value}" for name, value in plan.executor.options.items())
        yield f"  stages run on {plan.executor.name}{f' ({options})' if options else ''}"


def _unequal_label_lines(plan: GridPlan) -> list[str]:
    """Shots of each label where they are counted in total or weighed, with the weights of their loss."""
    found: dict[str, list[str]] = {}
    for planned in plan.experiments:
        config, counts = planned.experiment.config, planned.data.shot_counts
        is_weighed = weighs_labels(config)
        if counts and config.uses_shots and (is_weighed or config.dataset.shots_by == "total"):
            weights = weights_of(counts) if is_weighed else {}
            shots = ", ".join(
                f"{label} {count}" + (f" x {weights[label]:.3g}" if label in weights else "")
                for label, count in counts.items()
            )
            told = "shots of each label, and the weight of their loss" if is_weighed else "shots of each label"
            found.setdefault(f"{told}: {shots}", []).append(planned.experiment.name)
    return [f"  {text} ({some(names, SHOWN_NAMES)})" for text, names in found.items()]


def _unused(path: str) -> str:
    """A key without effect; of one that an older tool has, with what takes its place."""
    instead = instead_of(path)
    return path if instead is None else f"{path}: {instead}"


def _stage_lines(run: PlannedRun) -> Iterator[str]:
    yield from (_stage_line(stage, counts) for stage, counts in run.counts().items())


def _stage_line(stage: StageName, counts: StageCounts) -> str:
    failed = f", {counts.held_up} held up by a failure" if counts.held_up else ""
    failed += f", {counts.reused} reused" if counts.reused else ""
    told = f"{counts.to_run} to run, {counts.done} done, {counts.shared} shared{failed} ({counts.asked} asked for)"
    return f"  {stage:<8} {told}"


def _export_lines(exports: PlannedRun, run: PlannedRun) -> Iterator[str]:
    """How many models are exported, and the trainings that run for them alone: their adapters were removed."""
    counts = exports.counts().get("export")
    if counts is not None:
        yield _stage_line("export", counts)
    again = [job for path, job in exports.to_run.items() if job.record.stage == "train" and path not in run.to_run]
    if again:
        yield f"  {counted(len(again), 'training')} run again to be exported: the adapter is gone"


def _saving_line(run: PlannedRun) -> str:
    """How much of the work is saved, in stages."""
    asked = sum(len(jobs) for jobs in run.experiments.values())
    shared = asked - len(run.jobs)
    reused = len(run.elsewhere)
    done = len(run.jobs) - len(run.to_run) - len(run.left) - reused
    text = f"{len(run.to_run)} of {counted(asked, 'stage')} to run; saved: {shared} shared, {done} done"
    text += f", {reused} reused" if reused else ""
    return f"{text}; {len(run.left)} held up by a failure (--retry-failed runs them again)" if run.left else text


def _experiment_lines(plan: GridPlan, run: PlannedRun) -> list[str]:
    lines = []
    for planned in plan.experiments[:SHOWN_EXPERIMENTS]:
        name = planned.experiment.name
        stages = []
        for job in run.experiments[name]:
            owner = run.owners[job.folder.path]
            state = _state(job, run, None if owner == name else owner)
            stages.append(f"{job.record.stage} {job.record.key[:8]} {state}")
        lines.append(f"  {name}: {' · '.join(stages)}{_data_text(planned)}")
    if len(plan.experiments) > SHOWN_EXPERIMENTS:
        lines.append(f"  ...{and_more(len(plan.experiments), SHOWN_EXPERIMENTS)}")
    return lines


def _state(job: PlannedJob, run: PlannedRun, owner: str | None) -> str:
    path = job.folder.path
    if path in run.done:
        return "done"
    if path in run.elsewhere:
        return f"reused from {shown_path(run.elsewhere[path].results.path)}"
    state = run.standings[path].state
    stopped = path in run.stopped_paths
    if path in run.to_run:
        was = f" ({state})" if stopped else ""
        return f"run{was}" if owner is None else f"as {owner}"
    if path in run.left:
        return state if stopped else "waits"
    return state if state == "pruned" else "not needed"


def _stopped_lines(run: PlannedRun, results: ResultsFolder, told: Collection[Path] = ()) -> Iterator[str]:
    """What was tried and is not done, each with its reason, but for the folders that are `told` of elsewhere."""
    stopped = {path: standing for path, standing in run.stopped().items() if path not in told}
    for path, standing in list(stopped.items())[:SHOWN_STOPPED]:
        name, key = run.jobs[path].record.name, run.experiments[run.owners[path]][-1].record.key
        yield f"  {story(name, key, standing.status, standing.state, results)}"
    if len(stopped) > SHOWN_STOPPED:
        yield f"  ...{and_more(len(stopped), SHOWN_STOPPED)}"


def _data_text(planned: PlannedExperiment) -> str:
    data = planned.data
    dev = "" if data.n_dev is None else f", {data.n_dev} dev"
    leaks = f", {data.n_leaked} leaked" if data.n_leaked else ""
    folds = planned.experiment.config.dataset.splits.folds
    parts = "" if folds is None else f" in {folds} folds"
    dropped = f", {_by_split(data.n_dropped)} dropped (an empty cell)" if data.n_dropped else ""
    empty = f", {_by_split(data.n_empty)} with an empty input" if data.n_empty else ""
    return f" · {data.n_train} shots{dev}, {data.n_test} test{parts}{leaks}{dropped}{empty}"


def _by_split(counts: Mapping[str, int]) -> str:
    """Numbers of rows by split, such as `5 train + 2 test rows`."""
    return " + ".join(f"{count} {split}" for split, count in counts.items()) + " rows"


def _written_default_lines(plan: GridPlan) -> list[str]:
    """What is written and means what it would mean if it were left out: it makes no other key."""
    found = plan.by_text(lambda config: [f"{path} {shown(value)}" for path, value in written_defaults(config)])
    lines = [f"  {text} ({some(names, SHOWN_NAMES)})" for text, names in found.items()]
    return ["Written as by default (the keys are those without it):", *lines] if lines else []
