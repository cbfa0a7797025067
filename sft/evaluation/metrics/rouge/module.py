"""ROUGE as an `evaluate.Metric`."""

from collections.abc import Callable, Sequence

import numpy as np
from rouge_score.rouge_scorer import RougeScorer

from sft.evaluation.metrics.base import OfflineMetric
from sft.evaluation.metrics.rouge import METRIC


class _Words:
    """A word splitter in the form that `rouge_score` takes."""

    def __init__(self, split: Callable[[str], list[str]]) -> None:
        self._split = split

    def tokenize(self, text: str) -> list[str]:
        return self._split(text)


class Rouge(OfflineMetric):
    """Mean ROUGE F-measures."""

    needs = "texts"

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        split_words: Callable[[str], list[str]] | None,
        rouge_stemmer: bool,
    ) -> dict[str, float]:
        names = list(METRIC.results)
        words = None if split_words is None else _Words(split_words)
        scorer = RougeScorer(names, use_stemmer=rouge_stemmer, tokenizer=words)
        scores = [scorer.score(reference, text) for reference, text in zip(references, predictions, strict=True)]
        return {name: float(np.mean([score[name].fmeasure for score in scores])) for name in names}
