"""Brier score as an `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.formulas import brier


class Brier(OfflineMetric):
    """Mean squared distance between the probabilities and the gold label's unit vector, summed over labels."""

    needs = "probabilities"

    def _compute(
        self, predictions: Sequence[Sequence[float]], references: Sequence[int], n_labels: int
    ) -> dict[str, float]:
        return {"brier": brier(np.asarray(predictions, dtype=np.float64), np.asarray(references))}
