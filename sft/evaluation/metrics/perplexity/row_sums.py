"""Perplexity from sums over rows: log-probabilities and tokens."""

from collections.abc import Mapping
from typing import Any

from sft.evaluation.metrics.formulas import perplexity
from sft.evaluation.metrics.row_sums import RowSums, sums_of_counts
from sft.evaluation.rows import EvaluatedRows


def perplexity_sums(result: str, rows: EvaluatedRows, _n_labels: int, _arguments: Mapping[str, Any]) -> RowSums | None:
    """Of what rows hold: the sum of their tokens' log-probabilities, in nats, and how many tokens these are."""
    return sums_of_counts(result, rows, perplexity)
