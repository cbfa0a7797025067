"""Log loss as an `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric


class LogLoss(OfflineMetric):
    """Mean negative natural logarithm of the gold label's probability."""

    needs = "probabilities"

    def _compute(
        self, predictions: Sequence[Sequence[float]], references: Sequence[int], n_labels: int
    ) -> dict[str, float]:
        probabilities = np.asarray(predictions, dtype=np.float64)
        gold = probabilities[np.arange(len(references)), np.asarray(references)]
        return {"log_loss": float(-np.log(np.clip(gold, np.finfo(np.float64).eps, 1.0)).mean())}
