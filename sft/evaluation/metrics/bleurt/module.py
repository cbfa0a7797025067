"""BLEURT as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.entry import PER_ROW


class Bleurt(OfflineMetric):
    """Mean BLEURT score."""

    needs = "texts"

    def _compute(
        self, predictions: Sequence[str], references: Sequence[str], bleurt_checkpoint: str | None
    ) -> dict[str, Any]:
        from bleurt.score import BleurtScorer  # type: ignore[import-not-found, unused-ignore]

        scorer = BleurtScorer(bleurt_checkpoint)
        scores = np.array(scorer.score(references=list(references), candidates=list(predictions)))
        return {"bleurt": float(scores.mean()), PER_ROW: {"bleurt": scores}}
