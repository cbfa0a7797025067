"""What each evaluated row adds to the sums of which a metric is made."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kinds = tuple[Floats, Floats]
"""(kinds, numbers) rows that are unlike, and (kinds,) how many rows are like each."""


class RowNumbers(Protocol):
    """(rows, numbers) of one run, in whatever form."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, numbers)."""

    def total(self) -> Floats:
        """(numbers,) the sums over all rows."""

    def touched(self) -> NDArray[np.bool_]:
        """(numbers,) whether any row adds to it."""

    def weighted(self, weights: Floats) -> Floats:
        """(numbers, samples) the sums on samples of the rows, by (rows, samples) how often each row stands in each."""

    def along(self, slopes: Floats) -> Floats:
        """(rows,) the numbers of each row times (numbers,) slopes."""

    def kinds(self, at_most: int) -> Iterator[Kinds]:
        """Every row, alike ones together where that is cheap to tell; `at_most` kinds at a time."""


@dataclass(frozen=True)
class ArrayNumbers:
    """As a dense or a sparse array."""

    array: Any

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, numbers)."""
        n_rows, n_numbers = self.array.shape
        return int(n_rows), int(n_numbers)

    def total(self) -> Floats:
        """Summed over rows."""
        return np.asarray(self.array.sum(axis=0), dtype=np.float64)

    def touched(self) -> NDArray[np.bool_]:
        """Where any row has another number than 0."""
        return np.asarray(abs(self.array).sum(axis=0)) > 0

    def weighted(self, weights: Floats) -> Floats:
        """One product."""
        sums: Floats = self.array.T @ weights
        return sums

    def along(self, slopes: Floats) -> Floats:
        """One product."""
        found: Floats = self.array @ slopes
        return found

    def kinds(self, at_most: int) -> Iterator[Kinds]:
        """Each row is a kind of its own."""
        for start in range(0, self.shape[0], at_most):
            part = self.array[start : start + at_most]
            dense = part if isinstance(part, np.ndarray) else part.toarray()
            yield dense, np.ones(len(dense))


_FEW = 1 << 12


def _counted(places: NDArray[np.int64], n_places: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places that occur, in order, and how often each does; where there can be few, without sorting them."""
    if n_places > _FEW:
        return np.unique(places, return_counts=True)
    counts = np.bincount(places, minlength=n_places)
    found = np.flatnonzero(counts)
    return found, counts[found]


@dataclass(frozen=True)
class LabelCounts:
    """(rows, 3 x labels) ones: right rows by label, rows by gold label, rows by predicted label.

    Only the labels are kept, so that a thousand of them cost as two, and no array is made until samples need one.

    Attributes:
        gold: (rows,) position in the label set.
        predicted: (rows,) likewise.
        n_labels: of the set.
    """

    gold: NDArray[np.int64]
    predicted: NDArray[np.int64]
    n_labels: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, numbers)."""
        return len(self.gold), 3 * self.n_labels

    def total(self) -> Floats:
        """Counts by label."""
        hits = self.gold[self._right]
        counts = [np.bincount(found, minlength=self.n_labels) for found in (hits, self.gold, self.predicted)]
        return np.concatenate(counts).astype(np.float64)

    def touched(self) -> NDArray[np.bool_]:
        """Labels that any row has."""
        return self.total() > 0

    def weighted(self, weights: Floats) -> Floats:
        """One sparse product."""
        from scipy.sparse import csc_array

        n_rows, n_numbers = self.shape
        right = np.flatnonzero(self._right)
        numbers = np.concatenate([self.gold[right], self.n_labels + self.gold, 2 * self.n_labels + self.predicted])
        rows = np.concatenate([right, np.arange(n_rows), np.arange(n_rows)])
        order = np.argsort(numbers, kind="stable")
        ends = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=n_numbers))])
        array = csc_array((np.ones(len(rows)), rows[order], ends), shape=self.shape)
        sums: Floats = array.T @ weights
        return sums

    def along(self, slopes: Floats) -> Floats:
        """Looked up by label."""
        hits, gold, predicted = slopes.reshape(3, -1)
        found: Floats = gold[self.gold] + predicted[self.predicted] + np.where(self._right, hits[self.gold], 0.0)
        return found

    def kinds(self, at_most: int) -> Iterator[Kinds]:
        """Rows of the same two labels are alike."""
        pairs, counts = _counted(self.gold * self.n_labels + self.predicted, self.n_labels**2)
        for start in range(0, len(pairs), at_most):
            gold, predicted = np.divmod(pairs[start : start + at_most], self.n_labels)
            places, found = np.arange(len(gold)), np.zeros((len(gold), 3, self.n_labels))
            found[places, 0, gold] = gold == predicted
            found[places, 1, gold] = 1
            found[places, 2, predicted] = 1
            yield found.reshape(len(gold), -1), counts[start : start + at_most].astype(np.float64)

    @property
    def _right(self) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self.gold == self.predicted
        return right
