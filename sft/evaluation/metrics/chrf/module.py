"""chrF as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.chrf.row_sums import chrf_counts
from sft.evaluation.metrics.entry import PER_ROW


class Chrf(OfflineMetric):
    """Corpus chrF with one reference per row, 0 to 100."""

    needs = "texts"

    def _compute(self, predictions: Sequence[str], references: Sequence[str], chrf_word_order: int) -> dict[str, Any]:
        chrf, counts = chrf_counts(predictions, references, chrf_word_order)
        score = float(chrf._aggregate_and_compute(counts).score)
        details = {"signature": str(chrf.get_signature())}
        return {"chrf": score, "chrf_details": details, PER_ROW: {"chrf": np.array(counts, np.int32)}}
