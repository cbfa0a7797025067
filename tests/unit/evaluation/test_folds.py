"""The evaluate stage over hand-made scores of folds: every row once, in order, and each fold by itself."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.evaluation.recomputing import wrong_metrics
from sft.evaluation.stage import run
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.atomic import write_json, write_json_lines
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.progress import Progress
from sft.runs.records import read_json_or_none
from sft.tasks.inputs import Inputs, load_inputs
from sft.tasks.row_sets import RowSet, pool_rows

Raw = Callable[..., dict[str, Any]]
Made = Callable[..., tuple[PlannedJob, dict[str, Any]]]
LABELS = ["bad", "good", "mixed"]
FOLDS = {"dataset": {"path": "data/train.jsonl", "splits": {"folds": 3}}}
TEMPERATURE = {"inference": {"calibration_args": {"calibration_fn": "temperature", "num_train_samples": 4}}}
PEAK = {"peak_gpu_bytes": None, "device": "cpu", "threads": 1, "versions": {}}


def _scores(infer: JobFolder, splits: list[str], indices: list[int], fold: int | None) -> None:
    """Scores that tell row and fold: the sum of a row's first label is -(100 * fold + row)."""
    answer = np.full((len(indices), 3), -4.0)
    answer[:, 0] = [-(100 * (fold or 0) + index) / 1000 for index in indices]
    np.savez(
        infer.scores,
        splits=np.array(splits),
        source_index=np.array(indices),
        answer_logprobs=answer,
        stop_logprobs=np.zeros((len(indices), 3)),
        answer_tokens=np.array([1, 1, 1]),
        stop_tokens=np.array([1, 1, 1]),
    )


def _record(infer: JobFolder, split: str, indices: list[int], examples: list[int]) -> None:
    record = {
        "examples": {split: [examples for _ in indices]},
        "rows": {split: len(indices)},
        "n_truncated": 1,
        "n_special_in_text": 0,
        "prompt_tokens": {"min": 10 + indices[0], "mean": float(len(indices)), "max": 20 + indices[0]},
        "batch_size": 8,
        "batch_tokens": 512,
        "dtype": "float32",
        "total_parameters": 100,
        "peak_rss_bytes": 5,
        "environment": PEAK,
        "stage_seconds": 1.5,
        "answer_seconds": 0.5,
    }
    write_json(infer.inference, record)


def _infer(job: PlannedJob, whole: Inputs, texts: bool) -> None:
    inputs, row_set = whole.part(job.record.fold), RowSet.parse(job.record.row_set)
    split, rows = ("test", inputs.selection.test) if row_set.kind == "eval" else ("train", pool_rows(inputs, row_set))
    indices = [row.source_index for row in rows]
    job.folder.path.mkdir(parents=True, exist_ok=True)
    if texts:
        lines = [{"split": split, "source_index": index, "text": f"{job.record.fold}-{index}"} for index in indices]
        write_json_lines(job.folder.texts, lines)
    else:
        _scores(job.folder, [split] * len(indices), indices, job.record.fold)
    examples = [inputs.selection.pool[0].source_index] if whole.config.inference.icl_examples else []
    _record(job.folder, split, indices, examples)


def _train(job: PlannedJob) -> None:
    job.folder.adapter.mkdir(parents=True)
    record = {"stage_seconds": 2.0, "trainable_parameters": 7, "n_truncated": 1, "n_special_in_text": 0}
    write_json(job.folder.training, record | {"peak_rss_bytes": 6, "environment": PEAK})


@pytest.fixture
def evaluated(project: Path, plan_of: Callable[..., Any], tmp_path: Path) -> Made:
    """Runs the evaluate stage of a config over made-up earlier stages; its job and its `metrics.json`."""

    def make(config: dict[str, Any]) -> tuple[PlannedJob, dict[str, Any]]:
        experiment = plan_of(project, a=config).experiments[0]
        results = ResultsFolder(tmp_path / "results")
        jobs = jobs_of(experiment.experiment, experiment.keys, ExperimentFolders(results), results, "metrics")
        whole = load_inputs(experiment.experiment.config, project, {})
        for job in jobs[:-1]:
            if job.record.stage == "train":
                _train(job)
            else:
                _infer(job, whole, config["dataset"]["task_type"] == "generation")
        job = jobs[-1]
        job.folder.path.mkdir(parents=True)
        run(job.folder, job.record, Progress(job.folder.progress, "evaluate"), time.perf_counter())
        return job, read_json_or_none(job.folder.metrics)

    return make


def _lines(job: PlannedJob) -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.folder.predictions("test", "jsonl").read_text().splitlines()]


def test_every_row_has_the_scores_of_its_own_fold(evaluated: Made, raw: Raw) -> None:
    job, metrics = evaluated(raw(FOLDS))
    lines = _lines(job)
    assert [line["source_index"] for line in lines] == [line["index"] for line in lines] == list(range(15))
    assert [len([line for line in lines if line["fold"] == fold]) for fold in range(3)] == [5, 5, 5]
    for line in lines:
        told = -(100 * line["fold"] + line["source_index"]) / 1000
        assert line["label_logprobs"]["bad"] == pytest.approx(told)
    data = metrics["data"]
    assert [len(own) for own in data["train_indices"]] == [6, 6, 6]
    fold_of = {line["source_index"]: line["fold"] for line in lines}
    for fold, own in enumerate(data["train_indices"]):
        assert fold not in {fold_of[index] for index in own}
    assert (data["n_train"], data["n_test"], data["n_truncated"]) == (6, 15, 6)
    assert metrics["timing"]["train"] == 6.0
    assert metrics["timing"]["infer"] == 4.5
    assert metrics["resources"]["answer_seconds"] == 1.5
    assert wrong_metrics(job.folder) == []


def test_one_stage_of_all_rows_is_read_by_each_fold_that_calibrates(
    evaluated: Made, raw: Raw, zero_shot: dict[str, Any]
) -> None:
    job, metrics = evaluated(raw(zero_shot, FOLDS, TEMPERATURE))
    lines = _lines(job)
    assert [line["label_logprobs"]["bad"] for line in lines] == pytest.approx([-n / 1000 for n in range(15)])
    told = metrics["details"]["calibration"]
    assert len(told["fitted"]) == 3
    fold_of = {line["source_index"]: line["fold"] for line in lines}
    for fold, own in enumerate(told["train_indices"]["train:4"]):
        assert len(own) == 4
        assert fold not in {fold_of[index] for index in own}
    for line in lines:
        sums = np.array(list(line["label_logprobs"].values())) / told["fitted"][line["fold"]]["temperature"]
        weights = np.exp(sums - sums.max())
        assert list(line["probabilities"].values()) == pytest.approx((weights / weights.sum()).tolist())
    assert metrics["data"]["train_indices"] == []
    assert metrics["data"]["prompt_tokens"] == {"min": 10, "mean": 15.0, "max": 20}
    assert wrong_metrics(job.folder) == []


def test_examples_are_told_by_fold(evaluated: Made, raw: Raw, zero_shot: dict[str, Any]) -> None:
    config = raw(zero_shot, FOLDS, {"inference": {"icl_examples": 1}, "dataset": {"max_n_test": 12}})
    job, metrics = evaluated(config)
    assert len(_lines(job)) == metrics["data"]["n_test"] == 12
    fold_of = {line["source_index"]: line["fold"] for line in _lines(job)}
    assert len(metrics["data"]["icl_indices"]) == 3
    assert all(fold_of.get(own[0]) != fold for fold, own in enumerate(metrics["data"]["icl_indices"]))


def test_texts_of_folds_take_their_places(evaluated: Made, raw: Raw, generation: dict[str, Any]) -> None:
    job, metrics = evaluated(raw(generation, FOLDS))
    assert [line["predictions"] for line in _lines(job)] == [
        f"{line['fold']}-{line['source_index']}" for line in _lines(job)
    ]
    assert [len(own) for own in metrics["data"]["train_indices"]] == [2, 2, 2]


def test_a_data_column_called_fold_gives_way(
    evaluated: Made, raw: Raw, project: Path, zero_shot: dict[str, Any]
) -> None:
    path = project / "data" / "train.jsonl"
    rows = [json.loads(line) | {"fold": "mine"} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    job, _ = evaluated(raw(zero_shot, FOLDS))
    assert {(line["data.fold"], line["fold"] in (0, 1, 2)) for line in _lines(job)} == {("mine", True)}
    header = job.folder.predictions("test", "tsv").read_text().splitlines()[0].split("\t")
    assert header[-1] == "fold"
    assert "data.fold" in header
