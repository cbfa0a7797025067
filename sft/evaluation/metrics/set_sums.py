"""Metrics of rows with any number of labels from sums over rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.row_numbers import ArrayNumbers, Floats
from sft.evaluation.metrics.row_sums import RowSums, mean_of
from sft.evaluation.rows import EvaluatedRows


def set_numbers_of(rows: EvaluatedRows) -> ArrayNumbers | None:
    """(rows, 3 x labels) whether each label is rightly given, is there, is given; None for rows of another kind."""
    gold, predicted = rows.gold_sets, rows.predicted_sets
    if gold is None or predicted is None:
        return None
    return ArrayNumbers(np.concatenate([gold & predicted, gold, predicted], axis=1).astype(np.float64))


def share_of_pairs(_result: str, rows: EvaluatedRows, _n_labels: int, _arguments: Mapping[str, Any]) -> RowSums | None:
    """The share of (row, label) pairs that are judged wrongly."""
    if rows.gold_sets is None or rows.predicted_sets is None:
        return None
    wrong: NDArray[np.float64] = (rows.gold_sets != rows.predicted_sets).mean(axis=1)
    return mean_of(wrong)


def micro_value(times: float, of_gold: float, of_predicted: float, sums: Floats) -> Floats:
    """times x hits / (of_gold x gold + of_predicted x predicted) of all labels together; 0 where nothing is counted.

    Args:
        times: factor of the hits, as the other factors.
        of_gold: of gold labels.
        of_predicted: of predicted labels.
        sums: (3 x labels, samples).
    """
    hits, gold, predicted = sums.reshape(3, -1, *sums.shape[1:]).sum(axis=1)
    counted = of_gold * gold + of_predicted * predicted
    found: Floats = np.divide(times * hits, counted, out=np.zeros_like(counted), where=counted > 0)
    return found
