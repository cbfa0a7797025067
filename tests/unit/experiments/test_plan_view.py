from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.plan_view import plan_lines
from sft.pipeline.jobs import ExperimentFolders, jobs_of
from sft.runs.files import ResultsFolder
from sft.runs.manifest import write_manifest

Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "results")


def _finish_training(plan: Any, results: ResultsFolder) -> None:
    first = plan.experiments[0]
    job = jobs_of(first.experiment, first.keys, ExperimentFolders(results), results, "metrics")[0]
    job.folder.path.mkdir(parents=True)
    job.folder.training.write_text("{}")
    write_manifest(job.folder, [job.folder.training])


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
    _finish_training(plan, results)
    lines = plan_lines(plan, results)
    assert "  train    1 to run, 1 done, 2 shared (4 asked for)" in lines
    assert next(line for line in lines if line.startswith("  icl: train ")).split(" · ")[0].endswith(" done")


def test_keys_without_effect_and_warnings_are_listed(
    plan_of: Callable[..., Any], project: Path, raw: Raw, results: ResultsFolder
) -> None:
    patch = {"dataset": {"shots": 0}}
    plan = plan_of(project, **{name: raw(patch) for name in "abcd"})
    lines = plan_lines(plan, results)
    assert "  no effect here: training (a, b, c and 1 more)" in lines
    assert not any("train  " in line for line in lines)


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
    assert shown["inference.batch_size"] == "8  (1 of 2 experiments)"
