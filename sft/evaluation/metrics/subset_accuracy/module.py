"""Subset accuracy as an `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.set_counts import set_numbers


class SubsetAccuracy(OfflineMetric):
    """The share of rows whose labels are all predicted, and no others, 0 to 1."""

    needs = "label_sets"

    def _compute(
        self, predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]], n_labels: int
    ) -> dict[str, float]:
        numbers = set_numbers(np.array(references, dtype=np.bool_), np.array(predictions, dtype=np.bool_))
        return {"subset_accuracy": numbers["subset_accuracy"]}
