"""chrF from sums over rows: n-grams of the text, n-grams of the reference and hits, of each length."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.entry import WordSplitter
from sft.evaluation.metrics.row_numbers import Floats
from sft.evaluation.metrics.row_sums import RowSums, sums_of_counts
from sft.evaluation.rows import EvaluatedRows

_RECALL_COUNTS = 4
"""How much more than precision: the square of sacrebleu's beta of 2."""


def chrf_counts(
    predictions: Sequence[str], references: Sequence[str], chrf_word_order: int
) -> tuple[Any, list[list[int]]]:
    """sacrebleu's metric, and its counts of each row: the three numbers of each length, one length after another."""
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF(word_order=chrf_word_order)
    return chrf, chrf._extract_corpus_statistics(predictions, [references])


def chrf_rows(
    predictions: Sequence[str],
    references: Sequence[str],
    _split_words: WordSplitter | None,
    arguments: Mapping[str, Any],
) -> dict[str, NDArray[Any]]:
    """The counts as rows keep them."""
    return {"chrf": np.array(chrf_counts(predictions, references, **arguments)[1], dtype=np.int32)}


def chrf_sums(_result: str, rows: EvaluatedRows, _n_labels: int, _arguments: Mapping[str, Any]) -> RowSums | None:
    """Of the counts, which hold the arguments."""
    return sums_of_counts("chrf", rows, _value)


def _value(sums: Floats) -> Floats:
    """As sacrebleu without its smoothing: the F of mean precision and mean recall over the lengths that both have."""
    n_grams, n_wanted, hits = sums[::3], sums[1::3], sums[2::3]
    is_counted = (n_grams > 0) & (n_wanted > 0)
    n_counted = np.maximum(is_counted.sum(axis=0), 1)
    precision, recall = (
        np.divide(hits, number, out=np.zeros_like(hits), where=is_counted).sum(axis=0) / n_counted
        for number in (n_grams, n_wanted)
    )
    both = _RECALL_COUNTS * precision + recall
    scores: Floats = np.divide(
        100 * (1 + _RECALL_COUNTS) * precision * recall, both, out=np.zeros_like(both), where=both > 0
    )
    return scores
