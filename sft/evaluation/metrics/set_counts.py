"""Metrics of rows with any number of labels, as plain functions of (rows, labels) truth values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.counts import LabelRatios, ratios_of

Flags = NDArray[np.bool_]


def set_ratios(gold: Flags, predicted: Flags) -> LabelRatios:
    """Precision, recall and F1 of each label."""
    return ratios_of((gold & predicted).sum(axis=0), gold.sum(axis=0), predicted.sum(axis=0))


def set_averages(gold: Flags, predicted: Flags) -> dict[str, float]:
    """F1, precision and recall: means over labels, the same weighted by gold rows, and of all labels together."""
    ratios = set_ratios(gold, predicted)
    hits, there, given = int((gold & predicted).sum()), int(gold.sum()), int(predicted.sum())
    micro = {"f1": (2 * hits, there + given), "precision": (hits, given), "recall": (hits, there)}
    results = {}
    for name, (above, below) in micro.items():
        values = getattr(ratios, name)
        results[f"macro_{name}"] = float(values.mean())
        results[f"micro_{name}"] = above / below if below else 0.0
        results[f"weighted_{name}"] = float(np.average(values, weights=ratios.support)) if there else 0.0
    return results


def set_numbers(gold: Flags, predicted: Flags) -> dict[str, float]:
    """Every number of these metrics."""
    return {
        **set_averages(gold, predicted),
        "subset_accuracy": float((gold == predicted).all(axis=1).mean()),
        "hamming_loss": float((gold != predicted).mean()),
    }


def per_label(gold: Flags, predicted: Flags) -> list[dict[str, Any]]:
    """What is known of each label, in the order of the set."""
    ratios = set_ratios(gold, predicted)
    columns = {
        "precision": ratios.precision.tolist(),
        "recall": ratios.recall.tolist(),
        "f1": ratios.f1.tolist(),
        "support": ratios.support.tolist(),
        "predicted": predicted.sum(axis=0).tolist(),
    }
    return [{name: values[label] for name, values in columns.items()} for label in range(gold.shape[1])]
