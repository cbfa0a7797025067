"""The exports beside trainings: their keys, and that nothing else moves with them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.pipeline.exports import export_jobs, export_keys
from sft.runs.files import ResultsFolder
from sft.runs.records import StageInput

Raw = Callable[..., dict[str, Any]]
Plan = Callable[..., Any]

ONE = StageInput("export")


def saved(form: str) -> dict[str, Any]:
    return {"training": {"save_method": form}}


def test_another_form_moves_no_stage_but_the_export(project: Path, raw: Raw, plan_of: Plan) -> None:
    forms = ("adapter", "merged", "safetensors")
    plan = plan_of(project, none=raw(), **{form: raw(saved(form)) for form in forms}).named()
    assert len({planned.keys.inputs[StageInput("train")] for planned in plan.values()}) == 1
    assert len({planned.keys.experiment_id for planned in plan.values()}) == 1
    keys = [export_keys(planned.experiment, planned.keys).get(ONE) for planned in plan.values()]
    assert keys[:2] == [None, None]
    assert len({*keys[2:]}) == 2


def test_another_training_is_another_export(project: Path, raw: Raw, plan_of: Plan) -> None:
    other = {"training": {"trainer_args": {"learning_rate": 0.1}}}
    one, two = plan_of(project, a=raw(saved("merged")), b=raw(saved("merged"), other)).experiments
    assert export_keys(one.experiment, one.keys) != export_keys(two.experiment, two.keys)


def test_what_trains_nothing_exports_nothing(project: Path, raw: Raw, plan_of: Plan, zero_shot: Any) -> None:
    one = plan_of(project, a=raw(zero_shot, {"adapter": {"method": "none"}}, saved("merged"))).experiments[0]
    assert export_keys(one.experiment, one.keys) == {}


def test_one_export_serves_all_that_ask_for_it_and_reads_their_training(
    project: Path, raw: Raw, plan_of: Plan
) -> None:
    other = {"inference": {"max_seq_length": 99}}
    plan = plan_of(project, a=raw(saved("merged")), b=raw(saved("merged"), other), c=raw())
    results = ResultsFolder(project / "results")
    (job,) = export_jobs([(planned.experiment, planned.keys) for planned in plan.experiments], results)
    train = results.stage("train", plan.experiments[0].keys.train).path
    assert job.record.stage == "export"
    assert job.needs == (train,)
    assert job.record.input_folder("train", job.folder.path) == train
    assert job.record.experiment.save_method == "merged"
    assert job.record.key_fields == {"stage": "export", "version": 1, "train": train.name, "save_method": "merged"}


def test_each_fold_is_exported_by_itself(project: Path, raw: Raw, plan_of: Plan) -> None:
    data = {"dataset": {"path": "data/train.jsonl", "splits": {"folds": 2}}}
    one = plan_of(project, a=raw(saved("merged"), data)).experiments[0]
    assert {item.fold for item in export_keys(one.experiment, one.keys)} == {0, 1}
    jobs = export_jobs([(one.experiment, one.keys)], ResultsFolder(project / "results"))
    assert [job.record.fold for job in jobs] == [0, 1]


@pytest.mark.parametrize("form", ["merge", "full", ""])
def test_an_unknown_form_is_refused(raw: Raw, form: str) -> None:
    with pytest.raises(ValueError, match="save_method"):
        ExperimentConfig.model_validate(raw(saved(form)))
