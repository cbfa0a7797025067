"""Writes small results folders as a run would leave them."""

import copy
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.config.experiment import ExperimentConfig
from sft.evaluation.predictions import Prediction, prediction_record, write_predictions
from sft.evaluation.rows import EvaluatedRows, write_rows
from sft.reporting.board import Board
from sft.reporting.building import build_leaderboard, with_statistics
from sft.reporting.leaderboard import write_leaderboard
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder, slug
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord, StatusRecord, write_record

BASE: dict[str, Any] = {
    "dataset": {"path": "tweets", "task_type": "classification", "shots": 8},
    "model": {"name": "tiny"},
    "lora": {"r": 8},
    "prompting": {"input_columns": ["text"], "output_column": "label", "max_input_length": 64},
    "training": {"trainer_args": {"learning_rate": 3e-4}},
    "evaluation": {"metrics": ["macro_f1", "log_loss"]},
}


def config(**changes: Any) -> dict[str, Any]:
    """The resolved config of `BASE` with top-level sections merged one level deep; None takes a section out."""
    written = copy.deepcopy(BASE)
    for section, value in changes.items():
        if isinstance(value, dict):
            written[section] = {**written.get(section, {}), **value}
        else:
            written[section] = value
    return ExperimentConfig.model_validate(
        {key: value for key, value in written.items() if value is not None}
    ).resolved()


def metrics(results: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """A `metrics.json`."""
    record: dict[str, Any] = {
        "schema": 1,
        "results": results,
        "details": {"labels": ["neg", "pos"], "higher_is_better": {"macro_f1": True, "log_loss": False}},
        "data": {"n_test": 200, "n_train": 16, "test_rows_sha256": "aa", "dev_rows_sha256": None, "n_leaked": 0},
        "timing": {"train": 12.34, "infer": 5.0, "evaluate": 1.0},
        "resources": {"peak_rss_bytes": 1 << 30, "peak_gpu_bytes": None},
        "environment": {"dtype": "float32"},
    }
    for part, value in parts.items():
        record[part] = {**record[part], **value}
    return record


class Folder:
    """A results folder with a grid of experiments."""

    def __init__(self, path: Path) -> None:
        self.results = ResultsFolder(path)
        self.configs: dict[str, Any] = {}
        path.mkdir(parents=True, exist_ok=True)

    def job(self, name: str, key: str) -> JobFolder:
        return JobFolder(self.results.experiments / f"{slug(name)}-{key[:8]}")

    def add(self, name: str, key: str, own: dict[str, Any], *, in_grid: bool = True) -> JobFolder:
        """An experiment that has not started."""
        job = self.job(name, key)
        write_json(job.config, {"schema": 1, "id": key, "names": [name], "config": own})
        if in_grid:
            self.alias(name, key, own, job)
        return job

    def alias(self, name: str, key: str, own: dict[str, Any], job: JobFolder) -> None:
        """Another name of an experiment in the grid."""
        folder = job.path.relative_to(self.results.path).as_posix()
        self.configs[name] = {"id": key, "folder": folder, "config": own}
        write_json(self.results.grid, {"schema": 1, "configs": self.configs, "pinned": {}})

    def done(
        self, name: str, key: str, own: dict[str, Any], record: dict[str, Any], *, in_grid: bool = True
    ) -> JobFolder:
        """A finished experiment."""
        job = self.add(name, key, own, in_grid=in_grid)
        write_json(job.metrics, record)
        write_manifest(job, [job.metrics])
        write_record(job.status, StatusRecord("done", "evaluate", attempt=1))
        return job

    def answered(
        self,
        name: str,
        key: str,
        own: dict[str, Any],
        answers: Sequence[str],
        columns: dict[str, Sequence[str]],
        **parts: Any,
    ) -> JobFolder:
        """A finished experiment with its predictions; `columns` holds the gold column `label`."""
        gold = columns["label"]
        correct = np.array([answer.strip() == wanted.strip() for answer, wanted in zip(answers, gold, strict=True)])
        rows = EvaluatedRows(correct)
        score = "exact_match"
        if own["dataset"]["task_type"] == "classification":
            places = [np.array([["neg", "pos"].index(text) for text in texts]) for texts in (gold, answers)]
            rows, score = EvaluatedRows(correct, *places, np.where(correct, 0.25, 1.5)), "accuracy"
        results = {score: float(correct.mean()), "log_loss": float(np.where(correct, 0.25, 1.5).mean())}
        job = self.done(name, key, own, metrics(results | parts.pop("results", {}), **parts))
        records = [
            prediction_record(
                {column: texts[index] for column, texts in columns.items()}, Prediction(text, index, index)
            )
            for index, text in enumerate(answers)
        ]
        write_predictions(job.predictions("test", "jsonl"), job.predictions("test", "tsv"), records)
        write_rows(job.rows, {"test": rows})
        write_manifest(job, [job.result])
        return job

    def failed(self, name: str, key: str, own: dict[str, Any], error: ErrorRecord) -> JobFolder:
        """An experiment whose train stage failed."""
        job = self.add(name, key, own)
        write_record(job.status, StatusRecord("failed", "train", attempt=1, error=error))
        return job


class ScoredFolder(Folder):
    """A results folder whose runs have their rows."""

    def __init__(self, path: Path, metric: str = "accuracy") -> None:
        super().__init__(path)
        self.path = path
        self.metric = metric
        self._ids = (f"{number:08x}{0:08x}" for number in itertools.count())

    def run(self, name: str, rows: EvaluatedRows, own: dict[str, Any], **parts: Any) -> str:
        """A finished experiment with its accuracy; its id."""
        key = next(self._ids)
        results = {"accuracy": float(rows.correct.mean())} | parts.pop("results", {})
        job = self.done(name, key, self.config(**own), metrics(results, **parts))
        write_rows(job.rows, {"test": rows})
        write_manifest(job, [job.metrics, job.rows])
        return key

    def config(self, **changes: Any) -> dict[str, Any]:
        return config(**{"evaluation": {"metrics": [self.metric]}} | changes)

    def board(self, **options: Any) -> Board:
        return with_statistics(build_leaderboard([self.results]), **options).boards[0]

    def record(self) -> dict[str, Any]:
        """The first board as `leaderboard.json` has it."""
        write_leaderboard([self.results], self.path)
        boards: list[dict[str, Any]] = json.loads((self.path / "leaderboard.json").read_text())["boards"]
        return boards[0]


def outcome(correct: NDArray[np.bool_], before: NDArray[np.bool_] | None = None) -> EvaluatedRows:
    """Rows of two labels that are right or wrong, and were so before calibration."""
    gold = np.arange(len(correct)) % 2
    predicted = np.where(correct, gold, 1 - gold)
    plain = None if before is None else np.where(before, gold, 1 - gold)
    return EvaluatedRows(correct, gold, predicted, np.where(correct, 0.25, 1.5), plain)
