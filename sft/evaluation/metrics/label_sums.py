"""Metrics of gold and predicted labels from counts by label."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from sft.evaluation.metrics.row_numbers import ArrayNumbers, Floats, LabelCounts
from sft.evaluation.metrics.row_sums import RowSums, mean_of
from sft.evaluation.metrics.set_sums import micro_value, set_numbers_of
from sft.evaluation.rows import EvaluatedRows

_SHARES = frozenset({"micro_f1", "micro_precision", "micro_recall", "weighted_recall"})
"""Where each row has one label, these are the accuracy."""


def label_sums(result: str, rows: EvaluatedRows, n_labels: int, _arguments: Mapping[str, Any]) -> RowSums | None:
    """Matthews correlation, or F1, precision or recall by any average."""
    sets = set_numbers_of(rows)
    if sets is not None:
        return _of_sets(result, sets)
    if rows.gold is None or rows.predicted is None:
        return None
    if result in _SHARES:
        return mean_of(rows.correct)
    numbers = LabelCounts(rows.gold, rows.predicted, n_labels)
    if result == "mcc":
        return RowSums(numbers, _correlation, _correlation_gradient)
    average, _, ratio = result.partition("_")
    if average == "weighted":
        weighted = _Weighted(_RATIOS[ratio])
        return RowSums(numbers, weighted.value, weighted.gradient)
    macro = _macro(ratio, (np.bincount(rows.gold, minlength=n_labels) == 0).tobytes())
    return RowSums(numbers, macro.value, macro.gradient)


def _of_sets(result: str, numbers: ArrayNumbers) -> RowSums | None:
    """As `label_sums`, of rows with any number of labels."""
    average, _, name = result.partition("_")
    ratio = _RATIOS.get(name)
    if ratio is None:
        return None
    if average == "micro":
        return RowSums(numbers, partial(micro_value, ratio.times, ratio.of_gold, ratio.of_predicted))
    if average == "weighted":
        weighted = _Weighted(ratio)
        return RowSums(numbers, weighted.value, weighted.gradient)
    gold = _by_label(numbers.total())[1]
    macro = _macro(name, (gold == 0).tobytes())
    return RowSums(numbers, macro.value, macro.gradient)


def over_labels_there(result: str, rows: EvaluatedRows, n_labels: int) -> RowSums | None:
    """A mean over labels of those alone that any of these rows has; None for what is no such mean.

    Of a part of the rows, which may lack labels for what it is, and not for what the model does with it.
    """
    average, _, ratio = result.partition("_")
    if average != "macro" or ratio not in _RATIOS:
        return None
    sets = set_numbers_of(rows)
    if sets is not None:
        return RowSums(sets, _Macro(_RATIOS[ratio], np.zeros(n_labels, dtype=np.bool_)).value)
    if rows.gold is None or rows.predicted is None:
        return None
    macro = _Macro(_RATIOS[ratio], np.zeros(n_labels, dtype=np.bool_))
    return RowSums(LabelCounts(rows.gold, rows.predicted, n_labels), macro.value)


def _by_label(sums: Floats) -> Floats:
    """(3, labels, ...) hits, gold and predicted counts."""
    return sums.reshape(3, -1, *sums.shape[1:])


@dataclass(frozen=True)
class _Ratio:
    """times x hits / (of_gold x gold + of_predicted x predicted), by label; 0 where the denominator is 0."""

    times: float
    of_gold: float
    of_predicted: float

    def parts(self, hits: Floats, gold: Floats, predicted: Floats) -> tuple[Floats, Floats]:
        """The ratio, and 1 / denominator (0 where the denominator is 0)."""
        denominator = self.of_gold * gold + self.of_predicted * predicted
        inverse = np.divide(1.0, denominator, out=np.zeros_like(denominator), where=denominator > 0)
        return self.times * hits * inverse, inverse

    def slopes(self, ratio: Floats, inverse: Floats) -> Floats:
        """(3, labels) derivatives of each label's ratio by its hits, gold and predicted counts."""
        return np.stack([self.times * inverse, -self.of_gold * ratio * inverse, -self.of_predicted * ratio * inverse])


_RATIOS = {"f1": _Ratio(2, 1, 1), "precision": _Ratio(1, 0, 1), "recall": _Ratio(1, 1, 0)}


@dataclass(frozen=True)
class _Macro:
    """The mean over labels.

    A label that the rows have and a sample happens to lack says nothing of the model there and is skipped; one that
    no row has counts as in the metric itself.
    """

    ratio: _Ratio
    is_declared_only: Any

    def value(self, sums: Floats) -> Floats:
        hits, gold, predicted = _by_label(sums)
        counted = (gold > 0) | self.is_declared_only[:, None]
        return _share((self.ratio.parts(hits, gold, predicted)[0] * counted).sum(axis=0), counted.sum(axis=0))

    def gradient(self, sums: Floats) -> Floats:
        slopes = self.ratio.slopes(*self.ratio.parts(*_by_label(sums)))
        return slopes.ravel() / len(self.is_declared_only)


@lru_cache(16)
def _macro(ratio: str, is_declared_only: bytes) -> _Macro:
    """The same object for runs on the same rows, by which others know that they can be worked out together."""
    return _Macro(_RATIOS[ratio], np.frombuffer(is_declared_only, dtype=np.bool_))


@dataclass(frozen=True)
class _Weighted:
    """The mean over labels, weighted by their rows."""

    ratio: _Ratio

    def value(self, sums: Floats) -> Floats:
        hits, gold, predicted = _by_label(sums)
        return _share((self.ratio.parts(hits, gold, predicted)[0] * gold).sum(axis=0), gold.sum(axis=0))

    def gradient(self, sums: Floats) -> Floats:
        hits, gold, predicted = _by_label(sums)
        if not gold.any():
            return np.zeros_like(sums)
        ratio, inverse = self.ratio.parts(hits, gold, predicted)
        slopes = gold * self.ratio.slopes(ratio, inverse)
        slopes[1] += ratio - ratio @ gold / gold.sum()
        found: Floats = slopes.ravel() / gold.sum()
        return found


def _share(above: Floats, below: Floats) -> Floats:
    """(samples,) ratios; 0 where the denominator is 0, as of rows without any label."""
    found: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return found


def _correlation(sums: Floats) -> Floats:
    """Matthews correlation for any number of labels (Gorodkin, 2004); 0 where one side is constant."""
    hits, gold, predicted = _by_label(sums)
    total = gold.sum(axis=0)
    covariance = total * hits.sum(axis=0) - (gold * predicted).sum(axis=0)
    spread = (total**2 - (gold**2).sum(axis=0)) * (total**2 - (predicted**2).sum(axis=0))
    correlation: Floats = np.divide(covariance, np.sqrt(spread), out=np.zeros_like(covariance), where=spread > 0)
    return correlation


def _correlation_gradient(sums: Floats) -> Floats:
    hits, gold, predicted = _by_label(sums)
    total = gold.sum()
    of_gold, of_predicted = total**2 - gold @ gold, total**2 - predicted @ predicted
    slopes = np.zeros_like(_by_label(sums))
    if of_gold * of_predicted <= 0:
        return slopes.ravel()
    root = np.sqrt(of_gold * of_predicted)
    half = (total * hits.sum() - gold @ predicted) / root / 2
    slopes[0] = total / root
    slopes[1] = (hits.sum() - predicted) / root - half * (2 * (total - gold) / of_gold + 2 * total / of_predicted)
    slopes[2] = -gold / root + half * 2 * predicted / of_predicted
    return slopes.ravel()
