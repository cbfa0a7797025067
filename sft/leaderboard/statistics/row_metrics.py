"""Metrics of many resamples of the same rows at once, from what `rows.npz` holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.rows import EvaluatedRows

Floats = NDArray[np.float64]
RowMetric = Callable[[EvaluatedRows, Floats, int], Floats]
"""Rows, weights (rows, samples: how often each row stands in each sample), size of the label set -> (samples,)."""


@dataclass(frozen=True)
class LabelCounts:
    """Weighted counts by label, each (labels, samples)."""

    hits: Floats
    gold: Floats
    predicted: Floats

    @classmethod
    def of(cls, rows: EvaluatedRows, weights: Floats, n_labels: int) -> "LabelCounts":
        """The counts of rows that have a label set."""
        if rows.gold is None or rows.predicted is None:
            raise ValueError("generated texts have no label counts")
        hits = _by_label(rows.gold, rows.correct.astype(np.float64), weights, n_labels)
        ones = np.ones(len(rows))
        return cls(
            hits, _by_label(rows.gold, ones, weights, n_labels), _by_label(rows.predicted, ones, weights, n_labels)
        )

    @property
    def f1(self) -> Floats:
        """(labels, samples) F1; 0 for a label that is neither there nor predicted."""
        both = self.gold + self.predicted
        return np.divide(2 * self.hits, both, out=np.zeros_like(both), where=both > 0)


def accuracy(rows: EvaluatedRows, weights: Floats, _: int) -> Floats:
    """The share of rows that are right."""
    return _mean(rows.correct.astype(np.float64), weights)


def log_loss(rows: EvaluatedRows, weights: Floats, _: int) -> Floats:
    """The mean log-loss, in nats."""
    if rows.log_loss is None:
        raise ValueError("these rows have no log-loss")
    return _mean(rows.log_loss, weights)


def macro_f1(rows: EvaluatedRows, weights: Floats, n_labels: int) -> Floats:
    """The mean F1 over labels.

    A label that the rows have and a sample happens to lack says nothing of the model there and is skipped; one that
    no row has counts as in the metric itself.
    """
    counts = LabelCounts.of(rows, weights, n_labels)
    is_declared_only = np.bincount(rows.gold, minlength=n_labels) == 0  # type: ignore[arg-type]  # checked above
    counted = (counts.gold > 0) | is_declared_only[:, None]
    means: Floats = (counts.f1 * counted).sum(axis=0) / counted.sum(axis=0)
    return means


def weighted_f1(rows: EvaluatedRows, weights: Floats, n_labels: int) -> Floats:
    """The mean F1 over labels, weighted by their rows."""
    counts = LabelCounts.of(rows, weights, n_labels)
    means: Floats = (counts.f1 * counts.gold).sum(axis=0) / counts.gold.sum(axis=0)
    return means


def mcc(rows: EvaluatedRows, weights: Floats, n_labels: int) -> Floats:
    """Matthews correlation for any number of labels (Gorodkin, 2004); 0 where one side is constant."""
    counts = LabelCounts.of(rows, weights, n_labels)
    total = counts.gold.sum(axis=0)
    covariance = total * counts.hits.sum(axis=0) - (counts.gold * counts.predicted).sum(axis=0)
    spread = (total**2 - (counts.gold**2).sum(axis=0)) * (total**2 - (counts.predicted**2).sum(axis=0))
    correlation: Floats = np.divide(covariance, np.sqrt(spread), out=np.zeros_like(covariance), where=spread > 0)
    return correlation


ROW_METRICS: Mapping[str, RowMetric] = {
    "accuracy": accuracy,
    "micro_f1": accuracy,
    "exact_match": accuracy,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
    "mcc": mcc,
    "log_loss": log_loss,
}
"""Results that follow from the rows alone; of equal rows `micro_f1` is the accuracy."""

SHARES = frozenset({"accuracy", "micro_f1", "exact_match"})
"""Of them the shares of right rows, which McNemar's test compares."""


def _mean(values: Floats, weights: Floats) -> Floats:
    means: Floats = values @ weights / weights.sum(axis=0)
    return means


def _by_label(labels: NDArray[np.int64], values: Floats, weights: Floats, n_labels: int) -> Floats:
    """(labels, samples) weighted sums of `values` by label; sparse, so that a thousand labels cost as two."""
    from scipy.sparse import csr_array

    matrix = csr_array((values, (labels, np.arange(len(labels)))), shape=(n_labels, len(labels)))
    sums: Floats = matrix @ weights
    return sums
