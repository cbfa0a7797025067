"""BLEU as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.bleu.row_sums import bleu_counts
from sft.evaluation.metrics.entry import PER_ROW, WordSplitter


class Bleu(OfflineMetric):
    """Corpus BLEU with one reference per row, 0 to 100."""

    needs = "texts"

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        split_words: WordSplitter | None,
        bleu_tokenize: str,
        bleu_lowercase: bool,
    ) -> dict[str, Any]:
        bleu, counts = bleu_counts(predictions, references, split_words, bleu_tokenize, bleu_lowercase)
        score = bleu._aggregate_and_compute(counts)
        details = {
            "signature": str(bleu.get_signature()),
            "precisions": list(score.precisions),
            "brevity_penalty": float(score.bp),
        }
        return {"bleu": float(score.score), "bleu_details": details, PER_ROW: {"bleu": np.array(counts, np.int32)}}
