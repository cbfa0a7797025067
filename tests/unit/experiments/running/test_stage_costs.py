"""What stages are likely to cost: by config alone, and by what like stages took."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.running import stage_costs as costs_module
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.stage_size import RowCounts, stage_work
from sft.pipeline.jobs import PlannedJob
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, StageName, State, StatusRecord, write_record


def config(**sections: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "model": {"name": "org/tiny"},
        "lora": {"r": 8},
        "dataset": {"task_type": "classification", "shots": 4, "max_n_test": 100},
        "training": {"icl_examples": 0, "trainer_args": {}},
        "inference": {"icl_examples": 0},
    }
    return {key: {**whole.get(key, {}), **sections.get(key, {})} for key in {**whole, **sections}}


def record(stage: StageName, content: str = "m", **sections: Mapping[str, Any]) -> JobRecord:
    prints = {"model": content, "labels": [["a", "a"], ["b", "b"]], "data": {"test": "x"}}
    return JobRecord(stage, "k", "name", config(**sections), "/", prints)


def job(stage: StageName, key: str = "k", content: str = "m", **sections: Mapping[str, Any]) -> PlannedJob:
    return PlannedJob(JobFolder(Path("/r") / stage / key), record(stage, content, **sections), ())


def done(stage: StageName, seconds: float | None, state: State = "done") -> StatusRecord:
    return StatusRecord(state, stage, seconds=seconds)


def test_the_size_of_a_training_is_rows_times_epochs_weighed_by_examples() -> None:
    one = stage_work(record("train")).size
    assert stage_work(record("train", dataset={"shots": 16})).size == 4 * one
    assert stage_work(record("train", training={"trainer_args": {"num_train_epochs": 6}})).size == 2 * one
    assert stage_work(record("train", training={"icl_examples": 1})).size == 3 * one
    assert stage_work(record("train"), RowCounts(train=80, evaluated=0)).size == 10 * one


def test_steps_count_in_place_of_epochs_where_they_are_written() -> None:
    args = {"max_steps": 6, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    assert stage_work(record("train", training={"trainer_args": args})).size == stage_work(record("train")).size


def test_the_size_of_an_inference_is_rows_weighed_by_examples_and_new_tokens() -> None:
    one = stage_work(record("infer")).size
    assert stage_work(record("infer", inference={"icl_examples": 2})).size == 5 * one
    assert stage_work(record("infer"), RowCounts(train=0, evaluated=300)).size == 3 * one
    with_dev = {"splits": {"dev": "dev"}, "max_n_dev": 50}
    assert stage_work(record("infer", dataset=with_dev)).size == 1.5 * one
    assert stage_work(record("infer", dataset=with_dev | {"max_n_dev": None})).size == 2 * one
    texts = {"task_type": "generation"}
    long = stage_work(record("infer", dataset=texts, inference={"generation_args": {"max_new_tokens": 400}})).size
    assert long > stage_work(record("infer", dataset=texts)).size > one


def test_bigger_models_by_name_are_more_work_and_evaluations_are_the_least() -> None:
    names = ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct")
    small, big = (stage_work(record("infer", model={"name": name})) for name in names)
    assert big.size == 14 * small.size
    assert stage_work(record("infer", model={"name": "SmolLM2-135M-Instruct"})).size == pytest.approx(13.5)
    assert stage_work(record("evaluate")).size < small.size


def test_starts_that_are_computed_are_told_apart_whichever_option_names_them() -> None:
    plain = stage_work(record("train")).likeness
    for option in ("init_lora_weights", "init_weights"):
        assert stage_work(record("train", lora={"r": 8, option: "pca"})).likeness[3] == "lora pca"
    assert plain[3] == "lora None"


def test_a_row_that_is_trained_on_is_more_work_than_one_that_is_read() -> None:
    rows = RowCounts(train=50, evaluated=50)
    once = {"trainer_args": {"num_train_epochs": 1}}
    assert stage_work(record("train", training=once), rows).size > stage_work(record("infer"), rows).size


def test_nothing_is_known_of_another_model_or_stage() -> None:
    costs = StageCosts()
    assert costs.seconds(job("train")) is None
    costs.learn(job("train"), done("train", 8.0))
    assert costs.seconds(job("infer")) is None
    assert costs.seconds(job("train", "other", content="other")) is None


def test_what_did_not_finish_tells_nothing() -> None:
    costs = StageCosts()
    costs.learn(job("train"), done("train", 8.0, "failed"))
    costs.learn(job("train"), done("train", None))
    assert costs.seconds(job("train")) is None


def test_one_measured_stage_is_scaled_by_work() -> None:
    costs = StageCosts()
    costs.learn(job("train"), done("train", 8.0))
    assert costs.seconds(job("train", "same")) == pytest.approx(8.0)
    assert costs.seconds(job("train", "longer", dataset={"shots": 16})) == pytest.approx(32.0)


def test_two_sizes_tell_start_up_from_work() -> None:
    costs = StageCosts()
    costs.learn(job("train", "1", dataset={"shots": 4}), done("train", 7.0))
    costs.learn(job("train", "2", dataset={"shots": 8}), done("train", 9.0))
    assert costs.seconds(job("train", "3", dataset={"shots": 64})) == pytest.approx(37.0)


@pytest.mark.parametrize(("seconds", "expected"), [((9.0, 7.0), 8.0), ((4.0, 9.0), 69.2)])
def test_sizes_that_cost_less_or_have_no_start_up_do_not_lead_astray(
    seconds: tuple[float, float], expected: float
) -> None:
    costs = StageCosts()
    for shots, taken in zip((4, 8), seconds, strict=True):
        costs.learn(job("train", str(shots), dataset={"shots": shots}), done("train", taken))
    assert costs.seconds(job("train", "new", dataset={"shots": 64})) == pytest.approx(expected, abs=2)


def test_the_nearest_like_stage_counts() -> None:
    costs = StageCosts()
    costs.learn(job("train", "a", lora={"init_lora_weights": "pissa"}), done("train", 30.0))
    assert costs.seconds(job("train", "b")) == pytest.approx(30.0)
    costs.learn(job("train", "c"), done("train", 5.0))
    assert costs.seconds(job("train", "d")) == pytest.approx(5.0)
    assert costs.seconds(job("train", "e", lora={"init_lora_weights": "pissa", "r": 4})) == pytest.approx(30.0)


def test_jobs_are_ordered_by_seconds_where_known_else_by_size_at_the_measured_rate() -> None:
    costs = StageCosts()
    unknown = job("infer", "x", content="other")
    assert costs.cost(unknown) == costs.work(unknown) == 100
    costs.learn(job("infer"), done("infer", 50.0))
    assert costs.cost(job("infer", "y")) == pytest.approx(50.0)
    assert costs.cost(unknown) == pytest.approx(50.0)
    assert costs.cost(job("train")) == pytest.approx(costs.work(job("train")) / 2)


def _finished(folder: JobFolder, made: JobRecord, status: StatusRecord) -> None:
    write_record(folder.job, made)
    write_record(folder.status, status)


def test_it_learns_from_a_results_folder_by_the_rows_that_were_counted(results: ResultsFolder) -> None:
    train, infer = results.stage("train", "t"), results.stage("infer", "i")
    _finished(train, record("train", dataset={"shots": "all"}), done("train", 12.0))
    write_json(train.training, {"n_rows": 24})
    _finished(infer, record("infer", dataset={"max_n_test": None}), done("infer", 6.0))
    write_json(infer.inference, {"rows": {"test": 40, "dev": 20}})
    _finished(results.stage("train", "failed"), record("train"), done("train", 99.0, "failed"))
    (results.path / "stages" / "train" / "empty").mkdir()
    results.stage("infer", "broken").path.mkdir()
    results.stage("infer", "broken").status.write_text("{")
    costs = StageCosts({"name": RowCounts(train=12, evaluated=30)})
    costs.learn_from(results)
    assert costs.seconds(job("train")) == pytest.approx(6.0)
    assert costs.seconds(job("infer")) == pytest.approx(3.0)


def test_an_evaluation_is_sized_by_the_rows_of_its_infer_stage(results: ResultsFolder) -> None:
    infer, own = results.stage("infer", "i"), JobFolder(results.experiments / "a-01234567")
    write_json(infer.inference, {"rows": {"test": 50}})
    made = record("evaluate", dataset={"max_n_test": None})
    made.inputs["infer"] = "../../stages/infer/i"
    _finished(own, made, done("evaluate", 1.0))
    costs = StageCosts()
    costs.learn_from(results)
    assert costs.seconds(job("evaluate")) == pytest.approx(2.0)


def test_this_run_counts_before_the_folder(results: ResultsFolder) -> None:
    _finished(results.stage("infer", "i"), record("infer"), done("infer", 60.0))
    costs = StageCosts()
    costs.learn_from(results)
    assert costs.seconds(job("infer")) == pytest.approx(60.0)
    costs.learn(job("infer"), done("infer", 3.0))
    assert costs.seconds(job("infer")) == pytest.approx(3.0)


def test_of_very_many_finished_stages_some_are_read(results: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs_module, "READ_PER_STAGE", 3)
    for number in range(10):
        _finished(results.stage("infer", f"{number}"), record("infer"), done("infer", 1.0 + number))
    read: list[Path] = []
    monkeypatch.setattr(costs_module, "read_status", lambda path: read.append(path))
    StageCosts().learn_from(results)
    assert [path.parent.name for path in read] == ["0", "4", "8"]
