"""Expected calibration error as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.base import OfflineMetric


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
        probabilities = np.asarray(predictions, dtype=np.float64)
        confidence = probabilities.max(axis=1)
        correct = probabilities.argmax(axis=1) == np.asarray(references)
        bins = _bins(confidence, correct, ece_bins)
        gaps = np.array([abs(item["accuracy"] - item["confidence"]) for item in bins])
        weights = np.array([item["count"] for item in bins]) / len(confidence)
        value = {"l1": weights @ gaps, "l2": np.sqrt(weights @ gaps**2), "max": gaps.max()}[ece_norm]
        return {"ece": float(value), "ece_bins": bins}


def _bins(confidence: NDArray[np.float64], correct: NDArray[np.bool_], n_bins: int) -> list[dict[str, Any]]:
    """The bins that have rows: bounds (the upper one inside), rows, accuracy and mean confidence."""
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, n_bins - 1)
    return [
        {
            "from": float(edges[place]),
            "to": float(edges[place + 1]),
            "count": int((places == place).sum()),
            "accuracy": float(correct[places == place].mean()),
            "confidence": float(confidence[places == place].mean()),
        }
        for place in np.unique(places)
    ]
