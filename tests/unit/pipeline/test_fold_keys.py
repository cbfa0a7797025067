"""Which stages folds have, what their keys depend on, and how the evaluate stage finds them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.pipeline.jobs import ExperimentFolders, jobs_of, with_adapters
from sft.pipeline.keys import StageKeys
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import StageInput

Raw = Callable[..., dict[str, Any]]
Keys = Callable[..., StageKeys]
TEMPERATURE = {"inference": {"calibration_args": {"calibration_fn": "temperature", "num_train_samples": 4}}}
CONTEXTUAL = {"inference": {"calibration_args": {"calibration_fn": "contextual"}}}
ICL = {"inference": {"icl_examples": 1}}


def folds(n: int = 3, **more: Any) -> dict[str, Any]:
    return {"dataset": {"path": "data/train.jsonl", "splits": {"folds": n, **more}}}


@pytest.fixture
def keys(project: Path, plan_of: Callable[..., Any]) -> Keys:
    def plan(config: dict[str, Any]) -> StageKeys:
        found: StageKeys = plan_of(project, a=config).experiments[0].keys
        return found

    return plan


def stages(found: StageKeys) -> list[str]:
    return [item.name for item in found.inputs]


def test_a_training_and_an_infer_stage_for_each_fold(keys: Keys, raw: Raw) -> None:
    found = keys(raw(folds()))
    names = [f"{stage}:fold{fold}" for stage in ("train", "infer") for fold in range(3)]
    assert stages(found) == names
    assert len(set(found.inputs.values())) == 6
    assert found.folds == (0, 1, 2)
    assert found.train is None


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({}, ["infer"]),
        (ICL, ["infer:fold0", "infer:fold1", "infer:fold2"]),
        (CONTEXTUAL, ["infer", "infer:content_free:contextual:3"]),
        (TEMPERATURE, ["infer", *(f"infer:train:4:fold{fold}" for fold in range(3))]),
    ],
)
def test_one_stage_serves_all_rows_where_nothing_depends_on_the_fold(
    keys: Keys, raw: Raw, zero_shot: dict[str, Any], patch: dict[str, Any], expected: list[str]
) -> None:
    assert stages(keys(raw(zero_shot, folds(), patch))) == expected


def test_what_moves_which_stage(keys: Keys, raw: Raw, zero_shot: dict[str, Any]) -> None:
    zero, lora = keys(raw(zero_shot, folds())), keys(raw(folds()))
    for change in (folds(2), folds(group_by="id")):
        other = keys(raw(zero_shot, change))
        assert other.infer == zero.infer
        assert other.evaluate != zero.evaluate
        assert other.baseline != zero.baseline
        assert set(keys(raw(change)).inputs.values()).isdisjoint(lora.inputs.values())
    seeded = keys(raw(folds(), {"seeds": {"shots": 1}}))
    assert set(seeded.inputs.values()).isdisjoint(lora.inputs.values())
    assert keys(raw(zero_shot, folds(), {"seeds": {"shots": 1}})).evaluate == zero.evaluate
    normalized = keys(raw(folds(), {"inference": {"label_scoring": {"normalization": "mean"}}}))
    assert normalized.inputs == lora.inputs


def test_jobs_of_a_fold_read_its_own_training(
    project: Path, plan_of: Callable[..., Any], raw: Raw, tmp_path: Path
) -> None:
    experiment = plan_of(project, a=raw(folds(), TEMPERATURE)).experiments[0]
    results = ResultsFolder(tmp_path / "results")
    jobs = jobs_of(experiment.experiment, experiment.keys, ExperimentFolders(results), results, "metrics")
    trains, evaluate = jobs[:3], jobs[-1]
    assert [job.record.fold for job in trains] == [0, 1, 2]
    for job in jobs[3:-1]:
        assert job.record.fold is not None
        assert job.needs == (trains[job.record.fold].folder.path,)
        assert job.record.input_folder("train", job.folder.path) == trains[job.record.fold].folder.path
    assert set(evaluate.needs) == {job.folder.path for job in jobs[:-1]}
    assert evaluate.record.folds == (0, 1, 2)
    own = {job.record.row_set: job.folder.path for job in jobs[3:-1] if job.record.fold == 2}
    assert evaluate.record.infer_folders(evaluate.folder.path, 2) == own
    other = JobFolder(tmp_path / "other" / trains[1].record.key)
    moved = with_adapters(evaluate, {trains[1].folder.path: other})
    places = [moved.record.input_folder(f"train:fold{fold}", evaluate.folder.path) for fold in range(3)]
    assert places == [trains[0].folder.path, other.path, trains[2].folder.path]


@pytest.mark.parametrize(
    "item",
    [
        StageInput("train"),
        StageInput("train", fold=3),
        StageInput("infer"),
        StageInput("infer", fold=12),
        StageInput("infer", "train:64"),
        StageInput("infer", "train:64", 0),
        StageInput("infer", "content_free:domain:2:per_row", 1),
    ],
)
def test_a_stage_is_found_by_its_name(item: StageInput) -> None:
    assert StageInput.parse(item.name) == item
