"""BLEU as an `evaluate.Metric`."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from sacrebleu.metrics.bleu import BLEU

from sft.evaluation.metrics.base import OfflineMetric


class Bleu(OfflineMetric):
    """Corpus BLEU with one reference per row, 0 to 100."""

    needs = "texts"

    def _compute(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        split_words: Callable[[str], list[str]] | None,
        bleu_tokenize: str,
        bleu_lowercase: bool,
    ) -> dict[str, Any]:
        if split_words is not None:
            predictions = [_spaced(split_words(text)) for text in predictions]
            references = [_spaced(split_words(text)) for text in references]
            bleu_tokenize = "none"
        bleu = BLEU(tokenize=bleu_tokenize, lowercase=bleu_lowercase, force=True)
        score = bleu.corpus_score(predictions, [references])
        details = {
            "signature": str(bleu.get_signature()),
            "precisions": list(score.precisions),
            "brevity_penalty": float(score.bp),
        }
        return {"bleu": float(score.score), "bleu_details": details}


def _spaced(words: Sequence[str]) -> str:
    """Words with one space between them, and none inside them: sacrebleu splits at white space again."""
    return " ".join(re.sub(r"\s", "▁", word) for word in words)
