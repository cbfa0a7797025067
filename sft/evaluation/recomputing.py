"""Metrics once more from the record of predictions, in plain numpy: do the rows give the numbers that stand?

Only metrics whose whole definition is here are recomputed: accuracy, macro-F1 and log-loss of the label set.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sft.config.canonical import json_text
from sft.evaluation.metrics.counts import confusion_counts
from sft.evaluation.metrics.formulas import label_numbers, log_loss
from sft.evaluation.predictions import OUR_COLUMNS, read_predictions
from sft.evaluation.rows import DEV
from sft.runs.files import JobFolder
from sft.runs.records import read_json_or_none

TOLERANCE = 1e-9
"""Of an absolute difference: sums of the same numbers in another order."""
_SPLITS = {"": "test", DEV: "dev"}


def wrong_metrics(folder: JobFolder) -> list[str]:
    """What in `metrics.json` is not what the predictions give, one line each; nothing where neither can be read."""
    metrics = read_json_or_none(folder.metrics)
    if not isinstance(metrics, dict):
        return []
    found = []
    for prefix, split in _SPLITS.items():
        path = folder.predictions(split, "jsonl")
        try:
            numbers = recomputed(read_predictions(path), metrics)
        except OSError:
            continue
        except (ValueError, KeyError, TypeError, IndexError):
            found.append(f"{path.name} does not hold the rows of its metrics")
            continue
        found += _differences(metrics["results"], prefix, numbers)
    return found


def recomputed(rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> dict[str, float]:
    """Accuracy, macro-F1 and log-loss of predictions; nothing where there is no label set.

    Args:
        rows: records of a `predictions.jsonl`.
        metrics: the `metrics.json` beside it, for the label set and the output column.
    """
    labels = (metrics.get("details") or {}).get("labels")
    if not isinstance(labels, list) or not rows:
        return {}
    column = metrics["config"]["prompting"]["output_column"]
    column = f"data.{column}" if column in OUR_COLUMNS else column
    places = {label: place for place, label in enumerate(labels)}
    gold = np.array([places[json_text(row[column])] for row in rows], dtype=np.int64)
    predicted = [places[row["predictions"]] for row in rows]
    counts = confusion_counts(gold.tolist(), predicted, len(labels))
    all_numbers = label_numbers(counts)
    numbers = {name: all_numbers[name] for name in ("accuracy", "macro_f1")}
    probabilities = [[row.get("probabilities", {}).get(label) for label in labels] for row in rows]
    if all(number is not None for row in probabilities for number in row):
        numbers["log_loss"] = log_loss(np.array(probabilities, dtype=np.float64), gold)
    return numbers


def _differences(results: Mapping[str, Any], prefix: str, numbers: Mapping[str, float]) -> Iterator[str]:
    for name, number in numbers.items():
        written = results.get(f"{prefix}{name}")
        if isinstance(written, int | float) and not abs(written - number) <= TOLERANCE:
            yield f"result/metrics.json says {prefix}{name} {written:.6g}, the predictions give {number:.6g}"
