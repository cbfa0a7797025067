"""Exact match as an `evaluate.Metric`."""

import string
from collections.abc import Sequence

from sft.evaluation.metrics.base import OfflineMetric

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactMatch(OfflineMetric):
    """Share of rows whose text equals the reference."""

    needs = "texts"

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        exact_match_ignore_case: bool,
        exact_match_ignore_punctuation: bool,
    ) -> dict[str, float]:
        def form(text: str) -> str:
            text = text.translate(_NO_PUNCTUATION) if exact_match_ignore_punctuation else text
            return (text.casefold() if exact_match_ignore_case else text).strip()

        hits = [form(text) == form(reference) for text, reference in zip(predictions, references, strict=True)]
        return {"exact_match": sum(hits) / len(hits)}
