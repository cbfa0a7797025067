"""Metrics once more from predictions."""

import json
from pathlib import Path
from typing import Any

import pytest

from sft.evaluation.recomputing import wrong_metrics
from sft.runs.files import JobFolder

LABELS = ["no", "yes", "1"]
GOLD = ["no", "yes", "yes", 1]
PREDICTED = ["no", "yes", "no", "1"]
PROBABILITIES = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.75, 0.25, 0.0], [0.25, 0.25, 0.5]]
TRUE = {"accuracy": 0.75, "macro_f1": (2 / 3 + 2 / 3 + 1) / 3, "log_loss": 1.25 * 0.6931471805599453}


def rows(column: str = "label") -> list[dict[str, Any]]:
    return [
        {column: gold, "predictions": predicted, "probabilities": dict(zip(LABELS, probabilities, strict=True))}
        for gold, predicted, probabilities in zip(GOLD, PREDICTED, PROBABILITIES, strict=True)
    ]


def folder(path: Path, results: dict[str, Any], column: str = "label", labels: Any = LABELS) -> JobFolder:
    job = JobFolder(path)
    job.result.mkdir(parents=True)
    metrics = {
        "results": results,
        "details": {"labels": labels},
        "config": {"prompting": {"output_column": column.removeprefix("data.")}},
    }
    job.metrics.write_text(json.dumps(metrics))
    for split in ("test", "dev"):
        job.predictions(split, "jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows(column)))
    return job


@pytest.mark.parametrize("column", ["label", "data.predictions"])
def test_true_numbers_pass(tmp_path: Path, column: str) -> None:
    results = TRUE | {f"dev_{name}": value for name, value in TRUE.items()} | {"own": 7.0, "log_loss": None}
    job = folder(tmp_path, results, column)
    assert wrong_metrics(job) == []


@pytest.mark.parametrize(("prefix", "name"), [(prefix, name) for prefix in ("", "dev_") for name in TRUE])
def test_a_number_that_the_rows_do_not_give_is_told(tmp_path: Path, prefix: str, name: str) -> None:
    (said,) = wrong_metrics(folder(tmp_path, {f"{prefix}{name}": TRUE[name] + 1e-6}))
    assert said.startswith(f"result/metrics.json says {prefix}{name} ")


def test_predictions_outside_the_label_set_are_told(tmp_path: Path) -> None:
    job = folder(tmp_path, TRUE, labels=["no", "yes"])
    assert wrong_metrics(job)[0] == "predictions.jsonl does not hold the rows of its metrics"


def test_texts_and_results_without_predictions_are_left_alone(tmp_path: Path) -> None:
    job = folder(tmp_path, {"accuracy": 0.1}, labels=None)
    assert wrong_metrics(job) == []
    assert wrong_metrics(JobFolder(tmp_path / "nowhere")) == []
