"""Expected calibration error from sums over rows: of each bin its rows, and how many more were right than it says."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sft.evaluation.metrics.formulas import bin_places
from sft.evaluation.metrics.row_numbers import ArrayNumbers, Floats
from sft.evaluation.metrics.row_sums import RowSums, ValueOfSums
from sft.evaluation.rows import EvaluatedRows


def ece_sums(_result: str, rows: EvaluatedRows, _n_labels: int, arguments: Mapping[str, Any]) -> RowSums | None:
    """By any norm and number of bins."""
    from scipy.sparse import coo_array

    if rows.confidence is None:
        return None
    bins, places = np.unique(bin_places(rows.confidence, arguments["ece_bins"]), return_inverse=True)
    numbers = np.concatenate([np.ones(len(rows)), rows.correct - rows.confidence])
    positions = (np.tile(np.arange(len(rows)), 2), np.concatenate([places, len(bins) + places]))
    sums = coo_array((numbers, positions), shape=(len(rows), 2 * len(bins))).tocsr()
    return RowSums(ArrayNumbers(sums), _NORMS[arguments["ece_norm"]])


def _mean(sums: Floats) -> Floats:
    counts, gaps = np.split(sums, 2)
    found: Floats = np.abs(gaps).sum(axis=0) / counts.sum(axis=0)
    return found


def _root_mean_square(sums: Floats) -> Floats:
    counts, gaps = np.split(sums, 2)
    found: Floats = np.sqrt((gaps * _by_row(gaps, counts)).sum(axis=0) / counts.sum(axis=0))
    return found


def _largest(sums: Floats) -> Floats:
    found: Floats = np.abs(_by_row(*np.split(sums, 2)[::-1])).max(axis=0)
    return found


def _by_row(gaps: Floats, counts: Floats) -> Floats:
    """The gap of each bin per row; 0 in a bin that a sample leaves empty."""
    return np.divide(gaps, counts, out=np.zeros_like(gaps), where=counts > 0)


_NORMS: Mapping[str, ValueOfSums] = {"l1": _mean, "l2": _root_mean_square, "max": _largest}
