"""How a metric follows from sums over rows, so that its value on any sample of the rows needs no text and no model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.row_numbers import ArrayNumbers, Floats, RowNumbers
from sft.evaluation.rows import EvaluatedRows

ValueOfSums = Callable[[Floats], Floats]
RowForm = Callable[[str, EvaluatedRows, int, Mapping[str, Any]], "RowSums | None"]
"""Result, rows, size of the label set (0 without one), arguments of the metric -> its sums; None where the rows lack
what it needs."""

_STEP = 1e-6
"""Of a sum, relative: the central difference is then right to some 1e-9."""
_AT_ONCE = 64
"""Rows whose own values are worked out together."""


@dataclass(frozen=True)
class RowSums:
    """One result of one run as a function of sums over its rows.

    Attributes:
        numbers: (rows, numbers) what is summed.
        value: (numbers, samples) sums -> (samples,) the result.
        gradient: (numbers,) sums -> (numbers,) derivatives of the result; None = by differences.
        right: (rows,) of a result that is a share of rows: those that count; None for any other.
    """

    numbers: RowNumbers
    value: ValueOfSums
    gradient: Callable[[Floats], Floats] | None = None
    right: NDArray[np.bool_] | None = None

    @property
    def n_rows(self) -> int:
        """Rows."""
        return self.numbers.shape[0]

    @cached_property
    def whole(self) -> float:
        """The result on all rows."""
        return float(self.value(self.numbers.total()[:, None])[0])

    def values(self, weights: Floats) -> Floats:
        """(samples,) the result on samples of the rows, by (rows, samples) how often each row stands in each."""
        return self.value(self.numbers.weighted(weights))

    def each(self) -> Floats:
        """(rows,) the result on each row alone; not finite where one row gives none."""
        found = np.empty(self.n_rows)
        for start in range(0, self.n_rows, _AT_ONCE):
            places = np.arange(start, min(start + _AT_ONCE, self.n_rows))
            weights = np.zeros((self.n_rows, len(places)))
            weights[places, places - start] = 1
            with np.errstate(divide="ignore", invalid="ignore"):
                found[places] = self.values(weights)
        return found

    def influence(self) -> Floats:
        """(rows,) how fast the result moves with a row's weight, times the rows (the infinitesimal jackknife).

        About its mean, the sum of squares by the square of the number of rows estimates the variance over samples of
        rows (Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6); differences of two
        results on the same rows have the differences of their influences.
        """
        gradient = self._differences() if self.gradient is None else self.gradient(self.numbers.total())
        moved: Floats = self.n_rows * self.numbers.along(gradient)
        return moved

    def _differences(self) -> Floats:
        """(numbers,) central differences; a sum that no row adds to moves with no row, and has 0."""
        total = self.numbers.total()
        steps = _STEP * np.maximum(1.0, np.abs(total))
        moves = np.diag(steps)
        above, below = self.value(total[:, None] + moves), self.value(total[:, None] - moves)
        slopes: Floats = np.where(self.numbers.touched(), (above - below) / (2 * steps), 0.0)
        return slopes


def mean_of(values: NDArray[Any]) -> RowSums:
    """The mean of one number per row; of truth values the share of rows that are true."""
    numbers = np.stack([values.astype(np.float64), np.ones(len(values))], axis=1)
    return RowSums(ArrayNumbers(numbers), _ratio, _ratio_gradient, values if values.dtype == np.bool_ else None)


def sums_of_counts(result: str, rows: EvaluatedRows, value: ValueOfSums) -> RowSums | None:
    """Counts that rows hold under the name of the result, and its value by their sums; None where they hold none."""
    counts = rows.per_row.get(result)
    return None if counts is None else RowSums(ArrayNumbers(counts.astype(np.float64)), value)


def _ratio(sums: Floats) -> Floats:
    means: Floats = sums[0] / sums[1]
    return means


def _ratio_gradient(sums: Floats) -> Floats:
    slopes: Floats = np.array([1.0, -sums[0] / sums[1]]) / sums[1]
    return slopes


def mean_of_rows(result: str, rows: EvaluatedRows, _n_labels: int, _arguments: Mapping[str, Any]) -> RowSums | None:
    """The mean of what rows hold under the name of the result: losses, and scores of single texts."""
    values = rows.per_row.get(result, getattr(rows, result, None))
    return None if values is None else mean_of(values)


def share_right(_result: str, rows: EvaluatedRows, _n_labels: int, _arguments: Mapping[str, Any]) -> RowSums:
    """The share of rows that are right."""
    return mean_of(rows.correct)
