from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.exceptions import DataError
from sft.pipeline.jobs import ExperimentFolders, jobs_of
from sft.runs.files import ResultsFolder
from sft.runs.records import JobRecord
from sft.tasks.inputs import inputs_of_job, load_inputs, row_text, rows_sha256, used_columns

Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def job_of(project: Path, plan_of: Callable[..., Any], tmp_path: Path) -> Callable[..., JobRecord]:
    def make(config: dict[str, Any], stage: str = "infer") -> JobRecord:
        planned = plan_of(project, a=config).experiments[0]
        results = ResultsFolder(tmp_path / "results")
        jobs = jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")
        record: JobRecord = next(job.record for job in jobs if job.record.stage == stage)
        return record

    return make


def _loaded(config: dict[str, Any], project: Path) -> Any:
    return load_inputs(ExperimentConfig.model_validate(config), project, {})


@pytest.mark.parametrize("split", ["train", "test"])
def test_data_that_changed_since_the_plan_fails_the_stage(
    job_of: Callable[..., JobRecord], project: Path, raw: Raw, rewrite: Callable[..., None], split: str
) -> None:
    record = job_of(raw())
    assert len(inputs_of_job(record).selection.test) == 9
    rewrite(project, split, lambda rows: rows[1].update(text="changed"))
    with pytest.raises(DataError, match=rf"^{split}\.jsonl changed since the plan"):
        inputs_of_job(record)


def test_a_split_that_is_not_read_may_change(
    job_of: Callable[..., JobRecord], project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    record = job_of(raw())
    rewrite(project, "dev", lambda rows: rows[1].update(text="changed"))
    inputs_of_job(record)


def test_the_worker_reads_what_the_planner_read(job_of: Callable[..., JobRecord], project: Path, raw: Raw) -> None:
    config = raw({"dataset": {"shots": 3, "max_n_test": 4, "splits": {"dev": "dev"}}, "seeds": {"shots": 5}})
    record = job_of(config)
    assert inputs_of_job(record).selection == _loaded(config, project).selection
    assert inputs_of_job(replace(record, name="other")).labels == _loaded(config, project).labels


def test_dev_stands_before_test(project: Path, raw: Raw) -> None:
    assert list(_loaded(raw({"dataset": {"splits": {"dev": "dev"}}}), project).evaluated()) == ["dev", "test"]
    assert list(_loaded(raw(), project).evaluated()) == ["test"]


def test_gold_outside_the_label_set_is_an_error_that_names_row_and_value(
    project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    rewrite(project, "test", lambda rows: rows[4].update(label="odd"))
    with pytest.raises(DataError, match=r"(?s)(4.*odd|odd.*4)"):
        _loaded(raw(), project)


def test_rows_without_gold_can_be_read_for_predictions(project: Path, raw: Raw, rewrite: Callable[..., None]) -> None:
    rewrite(project, "test", lambda rows: [{"text": row["text"]} for row in rows])
    inputs = _loaded(raw(), project)
    assert not inputs.has_gold("test")
    assert len(inputs.selection.test) == 9


def test_shots_need_a_train_split_and_its_output_column(
    project: Path, raw: Raw, zero_shot: dict[str, Any], rewrite: Callable[..., None]
) -> None:
    labels = {"dataset": {"labels": ["bad", "good", "mixed"]}}
    rewrite(project, "train", lambda rows: [{"text": row["text"]} for row in rows])
    with pytest.raises(DataError, match=r"label. not found"):
        _loaded(raw(labels), project)
    (project / "data" / "train.jsonl").unlink()
    with pytest.raises(DataError, match="train"):
        _loaded(raw(labels), project)
    assert _loaded(raw(labels, zero_shot), project).selection.shots == ()


def test_used_columns_are_those_of_training_and_inference_once_each(raw: Raw) -> None:
    config = raw({"inference": {"prompting": {"input_columns": ["id", "text"]}}})
    assert used_columns(ExperimentConfig.model_validate(config)) == ("text", "id", "label")


def test_the_hash_of_rows_is_of_their_content_and_place(project: Path, raw: Raw, rewrite: Callable[..., None]) -> None:
    def hashed(**dataset: Any) -> str:
        return rows_sha256(_loaded(raw({"dataset": dataset}), project).selection.test)

    whole = hashed()
    assert hashed(max_n_test=4) != whole
    assert hashed(shots=3) == whole
    rewrite(project, "test", lambda rows: rows[0].update(id="edited"))
    assert hashed() != whole


def test_the_text_of_a_row_holds_its_input_columns(project: Path, raw: Raw) -> None:
    config = ExperimentConfig.model_validate(raw({"prompting": {"input_columns": ["id", "text"]}}))
    row = _loaded(raw({"prompting": {"input_columns": ["id", "text"]}}), project).selection.test[0]
    assert row_text(row, config.prompting) == f"{row.values['id']}\n{row.values['text']}"
