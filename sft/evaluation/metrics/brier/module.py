"""Brier score as an `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric


class Brier(OfflineMetric):
    """Mean squared distance between the probabilities and the gold label's unit vector, summed over labels."""

    needs = "probabilities"

    def _compute(
        self, predictions: Sequence[Sequence[float]], references: Sequence[int], n_labels: int
    ) -> dict[str, float]:
        errors = np.asarray(predictions, dtype=np.float64) - np.eye(n_labels)[np.asarray(references)]
        return {"brier": float((errors**2).sum(axis=1).mean())}
