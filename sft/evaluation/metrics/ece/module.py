"""Expected calibration error as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.formulas import calibration_bins, calibration_error


class ExpectedCalibrationError(OfflineMetric):
    """Distance between accuracy and confidence over bins of equal width."""

    needs = "probabilities"

    def _compute(
        self,
        predictions: Sequence[Sequence[float]],
        references: Sequence[int],
        n_labels: int,
        ece_bins: int,
        ece_norm: str,
    ) -> dict[str, Any]:
        bins = calibration_bins(np.asarray(predictions, dtype=np.float64), np.asarray(references), ece_bins)
        return {"ece": calibration_error(bins, ece_norm), "ece_bins": bins}
