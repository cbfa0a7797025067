"""Perplexity as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.entry import PER_ROW
from sft.evaluation.metrics.formulas import perplexity


class Perplexity(OfflineMetric):
    """The exponential of the mean negative logarithm of the tokens' probabilities."""

    needs = "token_sums"

    def _compute(self, predictions: Sequence[Sequence[float]], references: Sequence[str]) -> dict[str, Any]:
        sums = np.asarray(predictions, dtype=np.float64)
        return {"perplexity": float(perplexity(sums.sum(axis=0)[:, None])[0]), PER_ROW: {"perplexity": sums}}
