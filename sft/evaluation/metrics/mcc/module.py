"""Matthews correlation as an `evaluate.Metric`."""

import math
from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.counts import confusion_counts


class MatthewsCorrelation(OfflineMetric):
    """Correlation of predicted and gold label for any number of labels (Gorodkin, 2004)."""

    needs = "labels"

    def _compute(self, predictions: Sequence[int], references: Sequence[int], n_labels: int) -> dict[str, float]:
        counts = confusion_counts(references, predictions, n_labels)
        gold, predicted, rows = counts.sum(axis=1), counts.sum(axis=0), int(counts.sum())
        covariance = rows * int(np.trace(counts)) - int(gold @ predicted)
        spread = (rows**2 - int(gold @ gold)) * (rows**2 - int(predicted @ predicted))
        return {"mcc": covariance / math.sqrt(spread) if spread else 0.0}
