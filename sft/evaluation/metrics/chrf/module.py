"""chrF as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

from sacrebleu.metrics.chrf import CHRF

from sft.evaluation.metrics.base import OfflineMetric


class Chrf(OfflineMetric):
    """Corpus chrF with one reference per row, 0 to 100."""

    needs = "texts"

    def _compute(self, predictions: Sequence[str], references: Sequence[str], chrf_word_order: int) -> dict[str, Any]:
        chrf = CHRF(word_order=chrf_word_order)
        score = chrf.corpus_score(predictions, [references])
        return {"chrf": float(score.score), "chrf_details": {"signature": str(chrf.get_signature())}}
