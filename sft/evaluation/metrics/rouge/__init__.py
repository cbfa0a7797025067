"""ROUGE F-measures, the plain mean over rows, 0 to 1 (Lin, 2004; the `rouge_score` package).

`rouge1`, `rouge2`: n-grams; `rougeL`: longest common subsequence; `rougeLsum`: the same by line of text. Without
`evaluation.tokenizer_name` words are runs of a-z and 0-9 in lower case, so that text in another script scores 0.
"""

import re
from collections.abc import Mapping
from typing import Any

from sft.config.section import Section
from sft.evaluation.metrics.entry import GENERATION, MetricEntry


class Options(Section):
    """Arguments of the ROUGE metrics."""

    rouge_stemmer: bool = False
    """Compare English word stems; default false. Without effect where `tokenizer_name` splits the words."""


def sees(reference: str, _arguments: Mapping[str, Any]) -> bool:
    """Whether `rouge_score` finds a word: it lowers the text and keeps a-z and 0-9 (its `tokenize.py`)."""
    return re.search("[a-z0-9]", reference.lower()) is not None


METRIC = MetricEntry(
    results=("rouge1", "rouge2", "rougeL", "rougeLsum"),
    module="sft.evaluation.metrics.rouge.module:Rouge",
    needs="texts",
    task_types=GENERATION,
    options=Options,
    splits_words=True,
    sees=sees,
)
