import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, SftError, UserError
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.choice import ExecutorChoice
from sft.experiments.executors.local import gpus
from sft.experiments.executors.local.gpu_question import GpuAnswer
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.planning import plan_record as plan_record_module
from sft.experiments.planning.plan_record import plan_record
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.files import ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from sft.terminal.plan import plan_lines
from tests.support.fake_cluster import FakeCluster

Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "results")


def _jobs(plan: Any, results: ResultsFolder, number: int = 0) -> list[PlannedJob]:
    planned = plan.experiments[number]
    return jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")


def _finish(job: PlannedJob, text: str = "{}") -> None:
    stage = job.record.stage
    outputs = {"train": job.folder.training, "infer": job.folder.inference, "evaluate": job.folder.metrics}
    outputs[stage].parent.mkdir(parents=True)
    outputs[stage].write_text(text)
    write_record(job.folder.job, job.record)
    write_record(job.folder.status, StatusRecord("done", stage, attempt=1))
    write_manifest(job.folder, [outputs[stage]])


def _stop(job: PlannedJob, state: Any, error: ErrorRecord | None = None, stage: Any = None) -> None:
    status = StatusRecord(state, stage or job.record.stage, attempt=1, error=error, log="a/b/attempts/01/stderr.log")
    write_record(job.folder.status, status)


def _line(lines: list[str], start: str) -> str:
    (found,) = [line for line in lines if line.startswith(start)]
    return found


def test_what_would_run_is_shared_and_is_done(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    plan = plan_of(
        project,
        a=raw(),
        copy=raw(),
        icl=raw({"inference": {"icl_examples": 1}}),
        seed=raw({"seed": 14}),
    )
    lines = plan_lines(plan, results)
    assert lines[0] == "4 experiments from grid.json"
    assert "  train    2 to run, 0 done, 2 shared (4 asked for)" in lines
    assert "  infer    3 to run, 0 done, 1 shared (4 asked for)" in lines
    assert "  evaluate 3 to run, 0 done, 1 shared (4 asked for)" in lines
    (copy,) = [line for line in lines if line.startswith("  copy: ")]
    assert copy.count("as a") == 3
    assert "6 shots, 9 test" in copy
    assert "  baseline 2 to run, 0 done, 0 shared (2 asked for)" in lines
    assert "8 of 12 stages to run; saved: 4 shared, 0 done" in lines
    _finish(_jobs(plan, results)[0])
    lines = plan_lines(plan, results)
    assert "7 of 12 stages to run; saved: 4 shared, 1 done" in lines
    assert "  train    1 to run, 1 done, 2 shared (4 asked for)" in lines
    assert next(line for line in lines if line.startswith("  icl: train ")).split(" · ")[0].endswith(" done")


@pytest.mark.parametrize("works", [True, False])
def test_what_another_device_computed_is_named(
    plan_of: Callable[..., Any],
    project: Path,
    raw: Raw,
    results: ResultsFolder,
    monkeypatch: pytest.MonkeyPatch,
    works: bool,
) -> None:
    def ask(_limit: float) -> GpuAnswer:
        return GpuAnswer() if works else GpuAnswer(broken="error 15")

    monkeypatch.setattr(gpus, "ask_for_gpus", ask)
    plan = plan_of(project, a=raw(), copy=raw())
    _finish(_jobs(plan, results)[0], '{"environment": {"device": "cuda"}}')
    (warning,) = [line for line in plan_lines(plan, results) if "error 15" in line or "computed on" in line]
    text = "in 2 experiments: a, copy: finished train stages were computed on cuda, this machine gives cpu; "
    assert warning.startswith(
        f"warning: {text if works else 'the driver of the GPUs does not work: error 15; mend it'}"
    )


def test_keys_without_effect_and_warnings_are_listed(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    patch = {"dataset": {"shots": 0}}
    plan = plan_of(project, **{name: raw(patch) for name in "abcd"})
    lines = plan_lines(plan, results)
    assert "  no effect here: training (a, b, c and 1 more)" in lines
    assert not any("train  " in line for line in lines)


def test_rows_with_empty_cells_are_counted(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder, rewrite: Callable[..., None]
) -> None:
    two = {"prompting": {"input_columns": ["text", "note"]}, "lora": ..., "training": ...}
    for split, n_empty in (("test", 2), ("train", 3)):
        notes = ["" if number < n_empty else "n" for number in range(100)]
        rewrite(project, split, lambda rows: [{**row, "note": note} for row, note in zip(rows, notes, strict=False)])  # noqa: B023
    icl = {"inference": {"icl_examples": 1}}
    plan = plan_of(project, kept=raw(two), dropped=raw(two, icl, {"dataset": {"on_missing": "drop"}}))
    lines = plan_lines(plan, results)
    assert _line(lines, "  kept: ").endswith(" test, 2 test rows with an empty input")
    assert _line(lines, "  dropped: ").endswith(" test, 3 train + 2 test rows dropped (an empty cell)")
    rows = [experiment["rows"] for experiment in plan_record(plan, results)["experiments"]]
    assert [(own["dropped"], own["empty"]) for own in rows] == [({}, {"test": 2}), ({"train": 3, "test": 2}, {})]


class _Refusing(FakeCluster):
    """A cluster that cannot run a grid."""

    def __init__(self, error: SftError) -> None:
        super().__init__()
        self.error = error

    def check(self, requests: Any) -> None:
        raise self.error


def test_the_cluster_that_a_grid_names_is_asked(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = dataclasses.replace(plan_of(project, a=raw()), executor=ExecutorChoice("slurm", {}))

    def refuse(error: SftError) -> None:
        executor = ChainExecutor(_Refusing(error), ExecutorOptions(), str)
        monkeypatch.setattr(plan_record_module, "make_executor", lambda *_: executor)

    refuse(MachineError("nobody has 64 CPUs"))
    assert "warning: nobody has 64 CPUs" in plan_lines(plan, results)
    refuse(UserError("no such partition"))
    with pytest.raises(UserError, match="no such partition"):
        plan_lines(plan, results)


def test_the_defaults_in_force_are_those_that_nobody_wrote(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    plan = plan_of(project, a=raw(), b=raw({"inference": {"batch_size": 4}}))
    lines = plan_lines(plan, results)
    shown = {line.split(" = ")[0].strip(): line.split(" = ")[1] for line in lines if " = " in line}
    assert shown["seed"] == "13"
    assert shown["evaluation.metrics"].startswith("['macro_f1', 'accuracy'")
    assert "training.trainer_args.gradient_checkpointing" in shown
    for written in ("training.trainer_args.learning_rate", "dataset.shots", "lora.r"):
        assert written not in shown
    assert shown["inference.batch_size"] == "'automatic'  (1 of 2 experiments)"


def test_stages_that_stopped_show_their_state_and_reason(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    plan = plan_of(project, a=raw(), b=raw({"seed": 14}), c=raw({"seed": 15}))
    _stop(_jobs(plan, results, 0)[0], "interrupted", ErrorRecord("killed", "stopped by SIGINT"))
    _stop(_jobs(plan, results, 1)[0], "failed", ErrorRecord("data", "no rows"))
    _stop(_jobs(plan, results, 1)[2], "failed", ErrorRecord("data", "no rows"), stage="train")
    _stop(_jobs(plan, results, 2)[0], "running")
    lines = plan_lines(plan, results)
    assert "  train    2 to run, 0 done, 0 shared, 1 held up by a failure (3 asked for)" in lines
    assert (
        "6 of 9 stages to run; saved: 0 shared, 0 done; 3 held up by a failure (--retry-failed runs them again)"
    ) in lines
    assert " run (interrupted) · infer" in _line(lines, "  a: train ")
    assert [part.split()[2] for part in _line(lines, "  b: train ")[5:].split(" · ")[:3]] == [
        "failed",
        "waits",
        "waits",
    ]
    assert " run (lost) · infer" in _line(lines, "  c: train ")
    assert _line(lines, "  INTERRUPTED a [").endswith("] at train: stopped by SIGINT")
    assert "] at train: no rows. Log: " in _line(lines, "  FAILED b [")
    assert _line(lines, "  LOST c [").endswith("] at train: its runner ended without recording how")


def test_a_stage_that_no_result_waits_for_is_not_run(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    plan = plan_of(project, a=raw())
    train, infer, evaluate = _jobs(plan, results)
    for job in (train, infer, evaluate):
        _finish(job)
    train.folder.training.unlink()
    lines = plan_lines(plan, results)
    assert "0 of 3 stages to run; saved: 0 shared, 3 done" in lines
    assert " not needed · infer" in _line(lines, "  a: train ")
    _stop(train, "pruned")
    assert " pruned · infer" in _line(plan_lines(plan, results), "  a: train ")
    infer.folder.manifest.unlink()
    evaluate.folder.manifest.unlink()
    assert "3 of 3 stages to run; saved: 0 shared, 0 done" in plan_lines(plan, results)


@pytest.mark.parametrize(
    ("training", "is_told"),
    [({}, True), ({"trainer_args": {"loss_type": "dft"}}, False), ({"objective": "t_few"}, False)],
    ids=str,
)
def test_the_objective_is_a_default_where_nothing_else_says_it(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder, training: Any, is_told: bool
) -> None:
    lines = plan_lines(plan_of(project, a=raw({"training": training})), results)
    assert ("  training.objective = 'nll'" in lines) is is_told


def test_why_stands_before_the_defaults(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    for job in _jobs(plan_of(project, a=raw()), results):
        _finish(job)
    plan = plan_of(project, a=raw({"lora": {"r": 4}}))
    assert not any(line.startswith("Why") for line in plan_lines(plan, results))
    lines = plan_lines(plan, results, why=True)
    start = lines.index("Why (keys that differ from the nearest finished stage):")
    assert lines[start + 1 : start + 4] == [
        "  1 train stage (a): lora.r 2 -> 4",
        "  1 infer stage (a): reads another train stage",
        "  1 evaluate stage (a): reads another infer stage",
    ]
    assert start < lines.index("Defaults in force (what is not written in the configs):")
    train, infer, _ = plan_record(plan, results, why=True)["experiments"][0]["stages"]
    assert train["why"] == [{"key": "lora.r", "text": "lora.r 2 -> 4"}]
    assert infer["why"] == [{"key": "reads", "text": "reads another train stage"}]
    assert "why" not in plan_record(plan, results)["experiments"][0]["stages"][0]


def test_why_names_what_is_written_as_by_default(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    plan = plan_of(project, a=raw(), b=raw({"lora": {"lora_alpha": 8}}), c=raw({"lora": {"lora_alpha": 16}}))
    assert len({planned.keys.train for planned in plan.experiments}) == 2
    lines = plan_lines(plan, results, why=True)
    assert (
        lines[lines.index("Written as by default (the keys are those without it):") + 1] == "  lora.lora_alpha 8 (b)"
    )
    assert not [line for line in plan_lines(plan, results) if line.startswith("Written as by default")]
