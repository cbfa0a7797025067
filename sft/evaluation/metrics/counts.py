"""Counts over the declared label set, from which the classification metrics follow.

Every label has its place, also one that no row has or that is never predicted: it has zero support, and a ratio that
would divide by zero is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def confusion_counts(gold: Sequence[int], predictions: Sequence[int], n_labels: int) -> NDArray[np.int64]:
    """Rows by gold label (first axis) and predicted label (second axis)."""
    counts = np.zeros((n_labels, n_labels), dtype=np.int64)
    np.add.at(counts, (np.asarray(gold), np.asarray(predictions)), 1)
    return counts


@dataclass(frozen=True)
class LabelRatios:
    """Precision, recall and F1 of each label, and the number of rows that have it as gold."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: NDArray[np.int64]


def label_ratios(counts: NDArray[np.int64]) -> LabelRatios:
    """Per-label ratios of confusion counts; 0 where the denominator is 0."""
    return ratios_of(np.diag(counts), counts.sum(axis=1), counts.sum(axis=0))


def ratios_of(hits: NDArray[np.int64], support: NDArray[np.int64], predicted: NDArray[np.int64]) -> LabelRatios:
    """Per-label ratios; 0 where the denominator is 0.

    Args:
        hits: (labels,) rows that have a label and are given it.
        support: (labels,) rows that have it.
        predicted: (labels,) rows that are given it.
    """
    return LabelRatios(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + predicted),
        support=support,
    )


def _ratio(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> Floats:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0)
