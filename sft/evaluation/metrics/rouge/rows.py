"""ROUGE of each row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.entry import WordSplitter
from sft.evaluation.metrics.rouge import METRIC


class _Words:
    """A word splitter in the form that `rouge_score` takes."""

    def __init__(self, split: WordSplitter) -> None:
        self._split = split

    def tokenize(self, text: str) -> list[str]:
        return self._split(text)


def rouge_rows(
    predictions: Sequence[str],
    references: Sequence[str],
    split_words: WordSplitter | None,
    arguments: Mapping[str, Any],
) -> dict[str, NDArray[Any]]:
    """The F-measures of each text, by result."""
    from rouge_score.rouge_scorer import RougeScorer

    names = list(METRIC.results)
    words = None if split_words is None else _Words(split_words)
    scorer = RougeScorer(names, use_stemmer=arguments["rouge_stemmer"], tokenizer=words)
    scores = [scorer.score(reference, text) for reference, text in zip(references, predictions, strict=True)]
    return {name: np.array([score[name].fmeasure for score in scores]) for name in names}
