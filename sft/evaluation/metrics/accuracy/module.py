"""Accuracy as an `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric


class Accuracy(OfflineMetric):
    """Share of rows whose prediction is the gold label."""

    needs = "labels"

    def _compute(self, predictions: Sequence[int], references: Sequence[int], n_labels: int) -> dict[str, float]:
        return {"accuracy": float(np.mean(np.asarray(predictions) == np.asarray(references)))}
