"""Log loss as an `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.formulas import log_loss


class LogLoss(OfflineMetric):
    """Mean negative natural logarithm of the gold label's probability."""

    needs = "probabilities"

    def _compute(
        self, predictions: Sequence[Sequence[float]], references: Sequence[int], n_labels: int
    ) -> dict[str, float]:
        return {"log_loss": log_loss(np.asarray(predictions, dtype=np.float64), np.asarray(references))}
