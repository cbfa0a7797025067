"""Exact match as an `evaluate.Metric`."""

from collections.abc import Sequence

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.exact_match import is_match


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
        arguments = {
            "exact_match_ignore_case": exact_match_ignore_case,
            "exact_match_ignore_punctuation": exact_match_ignore_punctuation,
        }
        hits = [is_match(text, wanted, arguments) for text, wanted in zip(predictions, references, strict=True)]
        return {"exact_match": sum(hits) / len(hits)}
