"""ROUGE as an `evaluate.Metric`."""

from collections.abc import Sequence
from typing import Any

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.entry import PER_ROW, WordSplitter
from sft.evaluation.metrics.rouge.rows import rouge_rows


class Rouge(OfflineMetric):
    """Mean ROUGE F-measures."""

    needs = "texts"

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        split_words: WordSplitter | None,
        rouge_stemmer: bool,
    ) -> dict[str, Any]:
        scores = rouge_rows(predictions, references, split_words, {"rouge_stemmer": rouge_stemmer})
        return {**{name: float(own.mean()) for name, own in scores.items()}, PER_ROW: scores}
