"""BLEU from sums over rows: words, and hits and n-grams of each length."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.entry import WordSplitter
from sft.evaluation.metrics.row_numbers import Floats
from sft.evaluation.metrics.row_sums import RowSums, sums_of_counts
from sft.evaluation.rows import EvaluatedRows

_LENGTHS = 4


def bleu_counts(
    predictions: Sequence[str],
    references: Sequence[str],
    split_words: WordSplitter | None,
    bleu_tokenize: str,
    bleu_lowercase: bool,
) -> tuple[Any, list[list[int]]]:
    """sacrebleu's metric, and its counts of each row: words, words of the reference, hits and n-grams by length."""
    from sacrebleu.metrics.bleu import BLEU

    if split_words is not None:
        predictions = [_spaced(split_words(text)) for text in predictions]
        references = [_spaced(split_words(text)) for text in references]
        bleu_tokenize = "none"
    bleu = BLEU(tokenize=bleu_tokenize, lowercase=bleu_lowercase, force=True)
    return bleu, bleu._extract_corpus_statistics(predictions, [references])


def bleu_rows(
    predictions: Sequence[str],
    references: Sequence[str],
    split_words: WordSplitter | None,
    arguments: Mapping[str, Any],
) -> dict[str, NDArray[Any]]:
    """The counts as rows keep them."""
    return {"bleu": np.array(bleu_counts(predictions, references, split_words, **arguments)[1], dtype=np.int32)}


def bleu_sums(_result: str, rows: EvaluatedRows, _n_labels: int, _arguments: Mapping[str, Any]) -> RowSums | None:
    """Of the counts, which hold the arguments."""
    return sums_of_counts("bleu", rows, _value)


def _value(sums: Floats) -> Floats:
    """As sacrebleu: a length without a hit counts as half a hit, the next one as a quarter (Chen and Cherry 2014)."""
    n_words, n_wanted = sums[:2]
    hits, n_grams = sums[2 : 2 + _LENGTHS], sums[2 + _LENGTHS :]
    missed = np.cumsum(hits == 0, axis=0)
    smoothed = np.where(hits == 0, 0.5**missed, hits)
    is_counted = (n_grams > 0).all(axis=0) & (hits > 0).any(axis=0)
    logarithms = np.log(np.divide(smoothed, n_grams, out=np.ones_like(smoothed), where=is_counted)).mean(axis=0)
    shorter = np.divide(n_wanted, n_words, out=np.ones_like(n_words), where=n_words > 0)
    scores: Floats = np.where(is_counted, 100 * np.exp(logarithms + np.minimum(0.0, 1 - shorter)), 0.0)
    return scores


def _spaced(words: Sequence[str]) -> str:
    """Words with one space between them, and none inside them: sacrebleu splits at white space again."""
    return " ".join(re.sub(r"\s", "▁", word) for word in words)
