from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.pipeline.jobs import ExperimentFolders, PlannedJob, has_memory_step, jobs_of, with_adapters
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import JobRecord

ID = "0123456789abcdef"
SAME_START = "0123456700000000"
Planned = Callable[..., list[PlannedJob]]
Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "results")


@pytest.fixture
def planned(project: Path, results: ResultsFolder, plan_of: Callable[..., Any]) -> Planned:
    def plan(config: dict[str, Any], goal: Any = "metrics") -> list[PlannedJob]:
        experiment = plan_of(project, a=config).experiments[0]
        return jobs_of(experiment.experiment, experiment.keys, ExperimentFolders(results), results, goal)

    return plan


def _made(results: ResultsFolder, name: str, experiment_id: str) -> Path:
    folder = results.experiments / name
    write_json(folder / "config.json", {"id": experiment_id})
    return folder


def test_a_new_experiment_gets_the_slug_of_its_name_and_8_digits(results: ResultsFolder) -> None:
    folder = ExperimentFolders(results).folder(ID, "A b/😀")
    assert folder.path == results.experiments / "A-b-01234567"


def test_an_experiment_is_found_by_its_id_under_whatever_name_it_was_first_run(results: ResultsFolder) -> None:
    there = _made(results, "first-name-01234567", ID)
    assert ExperimentFolders(results).folder(ID, "second name").path == there


def test_the_slug_is_that_of_the_first_name_of_a_run(results: ResultsFolder) -> None:
    folders = ExperimentFolders(results)
    assert folders.folder(ID, "one") is folders.folder(ID, "two")
    assert folders.folder(ID, "two").path.name == "one-01234567"


def test_another_id_with_the_same_8_digits_takes_all_16(results: ResultsFolder) -> None:
    _made(results, "x-01234567", ID)
    folders = ExperimentFolders(results)
    assert folders.folder(SAME_START, "x").path.name == f"x-{SAME_START}"
    assert folders.folder(ID, "x").path.name == "x-01234567"
    assert ExperimentFolders(results).folder(SAME_START, "y").path.name == "y-01234567"


def test_two_new_ids_with_the_same_8_digits_do_not_meet(results: ResultsFolder) -> None:
    folders = ExperimentFolders(results)
    assert folders.folder(ID, "x").path != folders.folder(SAME_START, "x").path


@pytest.mark.parametrize("config", [None, "", "[]", '{"id": 3}'])
def test_a_folder_without_a_readable_id_is_taken_over(results: ResultsFolder, config: str | None) -> None:
    folder = results.experiments / "x-01234567"
    folder.mkdir(parents=True)
    if config is not None:
        (folder / "config.json").write_text(config)
    assert ExperimentFolders(results).folder(ID, "x").path == folder


def test_the_jobs_of_a_training_need_one_another(planned: Planned, raw: Callable[..., Any]) -> None:
    train, infer, evaluate = planned(raw())
    assert [job.record.stage for job in (train, infer, evaluate)] == ["train", "infer", "evaluate"]
    assert train.needs == ()
    assert infer.needs == (train.folder.path,)
    assert set(evaluate.needs) == {infer.folder.path, train.folder.path}
    assert infer.record.input_folder("train", infer.folder.path) == train.folder.path
    assert evaluate.record.input_folder("infer", evaluate.folder.path) == infer.folder.path
    assert train.folder.path.name == train.record.key
    assert evaluate.folder.path.name == f"a-{evaluate.record.key[:8]}"


def test_what_trains_nothing_has_no_train_job(
    planned: Planned, raw: Callable[..., Any], zero_shot: dict[str, Any]
) -> None:
    infer, evaluate = planned(raw(zero_shot))
    assert (infer.record.stage, infer.needs, infer.record.inputs) == ("infer", (), {})
    assert evaluate.needs == (infer.folder.path,)


def test_each_row_set_is_a_job_that_the_evaluation_reads(planned: Planned, raw: Callable[..., Any]) -> None:
    calibration = {"inference": {"calibration_args": {"calibration_fn": "temperature", "num_train_samples": 6}}}
    train, infer, pool, evaluate = planned(raw(calibration))
    assert (infer.record.row_set, pool.record.row_set) == ("eval", "train:6")
    assert infer.folder.path != pool.folder.path
    assert pool.needs == (train.folder.path,)
    assert evaluate.record.input_folder("infer:train:6", evaluate.folder.path) == pool.folder.path
    assert set(evaluate.needs) == {train.folder.path, infer.folder.path, pool.folder.path}


def test_goals(planned: Planned, raw: Callable[..., Any]) -> None:
    assert [job.record.stage for job in planned(raw(), "adapter")] == ["train"]
    assert planned(raw(), "predictions")[-1].record.with_metrics is False
    assert planned(raw(), "metrics")[-1].record.with_metrics is True


def _finish(job: PlannedJob, *names: str) -> None:
    for name in names:
        path = job.folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    write_manifest(job.folder, [job.folder.path / name for name in names])


def test_predictions_alone_do_not_finish_a_job_that_wants_metrics(planned: Planned, raw: Callable[..., Any]) -> None:
    predictions, metrics = planned(raw(), "predictions")[-1], planned(raw(), "metrics")[-1]
    assert predictions.folder == metrics.folder
    assert not predictions.is_done
    _finish(metrics, "result/predictions.jsonl")
    assert (predictions.is_done, metrics.is_done) == (True, False)
    _finish(metrics, "result/predictions.jsonl", "result/metrics.json")
    assert (predictions.is_done, metrics.is_done) == (True, True)


def test_with_adapters_reads_the_training_of_another_results_folder(
    planned: Planned, raw: Callable[..., Any], tmp_path: Path
) -> None:
    train, infer, evaluate = planned(raw())
    other = JobFolder(tmp_path / "other" / "stages" / "train" / train.record.key)
    places = {train.folder.path: other}
    moved_infer, moved_evaluate = with_adapters(infer, places), with_adapters(evaluate, places)
    assert moved_infer.record.input_folder("train", infer.folder.path) == other.path
    assert moved_infer.needs == (other.path,)
    assert set(moved_evaluate.needs) == {infer.folder.path, other.path}
    assert moved_evaluate.record.input_folder("infer", evaluate.folder.path) == infer.folder.path
    assert with_adapters(train, places) == train


@pytest.mark.parametrize("linked", ["", "experiments", "stages", "stages/train", "stages/infer", "job"])
def test_inputs_are_found_through_links_to_other_disks(
    planned: Planned, raw: Callable[..., Any], results: ResultsFolder, tmp_path: Path, linked: str
) -> None:
    train, infer, evaluate = jobs = planned(raw())
    link = evaluate.folder.path if linked == "job" else results.path / linked
    disk = tmp_path / "a" / "deep" / "place"
    disk.mkdir(parents=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(disk)
    for job in jobs:
        job.folder.path.mkdir(parents=True, exist_ok=True)
    for path in (evaluate.folder.path, evaluate.folder.path.resolve()):
        found = [evaluate.record.input_folder(name, path) for name in ("train", "infer")]
        found += evaluate.record.infer_folders(path).values()
        assert [place and place.resolve() for place in found] == [
            job.folder.path.resolve() for job in (train, infer, infer)
        ]
    other = JobFolder(tmp_path / "other" / "stages" / "train" / train.record.key)
    assert with_adapters(infer, {train.folder.path: other}).needs == (other.path,)


@pytest.fixture
def count(project: Path, raw: Raw, plan_of: Callable[..., Any]) -> Callable[..., int]:
    """How many steps towards less memory a stage of a config has."""

    def steps(stage: Any, *patches: dict[str, Any]) -> int:
        config = plan_of(project, a=raw(*patches)).experiments[0].experiment.resolved_config()
        record = JobRecord(stage, "0" * 16, "a", config, str(project), {})
        found = [has_memory_step(record, step) for step in range(12)]
        assert found == sorted(found, reverse=True), "no step is left out"
        return sum(found) - 1

    return steps


def test_memory_steps_of_a_training(count):
    assert count("train") == 4, "gradient checkpointing, 4, 2, 1 of the library's 8"
    args = {"per_device_train_batch_size": 1, "gradient_checkpointing": True}
    assert count("train", {"training": {"trainer_args": args}}) == 0
    assert count("train", {"training": ...}) == 4


def test_memory_steps_of_an_inference(count, generation):
    assert count("infer") == 4, "an automatic size is halved four times"
    assert count("infer", {"inference": {"batch_size": 1}}) == 4, "its tokens are halved, whatever the rows"
    assert count("infer", generation, {"inference": {"batch_size": 6}}) == 2
    assert count("infer", generation, {"inference": {"batch_size": 1}}) == 0
    assert count("infer", generation) == 4


def test_texts_drawn_at_random_depend_on_the_batch_and_have_no_memory_steps(count, generation):
    drawn = {"inference": {"generation_args": {"do_sample": True}}}
    assert count("infer", generation, drawn) == 0
    assert count("infer", drawn) == 4, "labels are scored and not drawn"


def test_an_evaluation_loads_no_model(count):
    assert count("evaluate") == 0
