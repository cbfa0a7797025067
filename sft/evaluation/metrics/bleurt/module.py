"""BLEURT as an `evaluate.Metric`."""

from collections.abc import Sequence

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric


class Bleurt(OfflineMetric):
    """Mean BLEURT score."""

    needs = "texts"

    def _compute(
        self, predictions: Sequence[str], references: Sequence[str], bleurt_checkpoint: str | None
    ) -> dict[str, float]:
        from bleurt.score import BleurtScorer  # type: ignore[import-not-found, unused-ignore]

        scorer = BleurtScorer(bleurt_checkpoint)
        return {"bleurt": float(np.mean(scorer.score(references=list(references), candidates=list(predictions))))}
