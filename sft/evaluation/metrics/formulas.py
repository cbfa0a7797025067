"""The numbers of our classification metrics as plain functions, for who must not import the `evaluate` library.

Rows come as in `evaluate.Metric`: labels as indices into the label set, probabilities as (rows, labels).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.counts import Floats, confusion_counts, label_ratios


def label_numbers(counts: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy, Matthews correlation, and F1, precision and recall by average, of confusion counts."""
    accuracy = float(np.trace(counts) / counts.sum())
    return {"accuracy": accuracy, "mcc": matthews_correlation(counts), **averages(counts)}


def averages(counts: NDArray[np.int64]) -> dict[str, float]:
    """Macro, micro and weighted F1, precision and recall of confusion counts."""
    ratios = label_ratios(counts)
    micro = float(np.trace(counts) / counts.sum())
    results = {}
    for name, values in (("f1", ratios.f1), ("precision", ratios.precision), ("recall", ratios.recall)):
        results[f"macro_{name}"] = float(values.mean())
        results[f"micro_{name}"] = micro
        results[f"weighted_{name}"] = float(np.average(values, weights=ratios.support))
    return results


def matthews_correlation(counts: NDArray[np.int64]) -> float:
    """The correlation of gold and predicted label; 0 where one of them never varies."""
    gold, predicted, rows = counts.sum(axis=1), counts.sum(axis=0), int(counts.sum())
    covariance = rows * int(np.trace(counts)) - int(gold @ predicted)
    spread = (rows**2 - int(gold @ gold)) * (rows**2 - int(predicted @ predicted))
    return covariance / math.sqrt(spread) if spread else 0.0


def log_loss(probabilities: Floats, gold: NDArray[np.int64]) -> float:
    """Mean negative natural logarithm of the gold label's probability."""
    return float(log_losses(probabilities, gold).mean())


def log_losses(probabilities: Floats, gold: NDArray[np.int64]) -> Floats:
    """(rows,) negative natural logarithm of the gold label's probability, clipped at the resolution of fp64."""
    chosen = probabilities[np.arange(len(gold)), gold]
    losses: Floats = -np.log(np.clip(chosen, np.finfo(np.float64).eps, 1.0))
    return losses


def brier(probabilities: Floats, gold: NDArray[np.int64]) -> float:
    """Mean squared distance between the probabilities and the gold label's unit vector, summed over labels."""
    return float(brier_scores(probabilities, gold).mean())


def brier_scores(probabilities: Floats, gold: NDArray[np.int64]) -> Floats:
    """(rows,) squared distance between the probabilities and the gold label's unit vector, summed over labels."""
    errors = probabilities - np.eye(probabilities.shape[1])[gold]
    scores: Floats = (errors**2).sum(axis=1)
    return scores


def bin_places(confidence: Floats, n_bins: int) -> NDArray[np.int64]:
    """(rows,) the bin of equal width, its upper bound inside, that a probability falls into."""
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    places: NDArray[np.int64] = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    return places


def calibration_bins(probabilities: Floats, gold: NDArray[np.int64], n_bins: int) -> list[dict[str, Any]]:
    """The bins of confidence that have rows: bounds (the upper one inside), rows, accuracy and mean confidence."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == gold
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    places = bin_places(confidence, n_bins)
    return [
        {
            "from": float(edges[place]),
            "to": float(edges[place + 1]),
            "count": int((places == place).sum()),
            "accuracy": float(correct[places == place].mean()),
            "confidence": float(confidence[places == place].mean()),
        }
        for place in np.unique(places)
    ]


def calibration_error(bins: Sequence[dict[str, Any]], norm: str) -> float:
    """One number of the bins' gaps: `l1` mean over rows, `l2` root of the mean square, `max` the largest."""
    gaps = np.array([abs(item["accuracy"] - item["confidence"]) for item in bins])
    counts = np.array([item["count"] for item in bins])
    weights = counts / counts.sum()
    value = {"l1": weights @ gaps, "l2": np.sqrt(weights @ gaps**2), "max": gaps.max()}[norm]
    return float(value)


def classification_numbers(
    gold: NDArray[np.int64], probabilities: Floats, ece_bins: int, ece_norm: str
) -> dict[str, float]:
    """Every number of our classification metrics; the most probable label, the first of equals, is the prediction."""
    counts = confusion_counts(gold.tolist(), probabilities.argmax(axis=1).tolist(), probabilities.shape[1])
    return {
        **label_numbers(counts),
        "log_loss": log_loss(probabilities, gold),
        "brier": brier(probabilities, gold),
        "ece": calibration_error(calibration_bins(probabilities, gold, ece_bins), ece_norm),
    }


def perplexity(sums: Floats) -> Floats:
    """(2, samples) sums of log-probabilities and of tokens -> (samples,) perplexity; infinite where fp64 ends."""
    with np.errstate(over="ignore"):
        found: Floats = np.exp(-sums[0] / np.maximum(sums[1], 1.0))
    return found
