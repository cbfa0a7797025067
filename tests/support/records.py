"""Configs, metrics and rows of small runs, as a results folder has them."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.config.experiment import ExperimentConfig
from sft.evaluation.rows import EvaluatedRows

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


def outcome(correct: NDArray[np.bool_], before: NDArray[np.bool_] | None = None) -> EvaluatedRows:
    """Rows of two labels that are right or wrong, and were so before calibration."""
    gold = np.arange(len(correct)) % 2
    predicted = np.where(correct, gold, 1 - gold)
    plain = None if before is None else EvaluatedRows(before, gold, np.where(before, gold, 1 - gold))
    return EvaluatedRows(correct, gold, predicted, np.where(correct, 0.25, 1.5), uncalibrated=plain)
