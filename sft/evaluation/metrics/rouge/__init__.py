"""ROUGE F-measures, the plain mean over rows, 0 to 1 (Lin, 2004; the `rouge_score` package).

`rouge1`, `rouge2`: n-grams; `rougeL`: longest common subsequence; `rougeLsum`: the same by line of text. Without
`evaluation.tokenizer_name` words are runs of a-z and 0-9 in lower case, so that text in another script scores 0.
"""

import re
from collections.abc import Mapping
from typing import Any

from sft.config.section import Section
from sft.evaluation.metrics.entry import WRITTEN, MetricEntry


class Options(Section):
    """Arguments of the ROUGE metrics."""

    rouge_stemmer: bool = False
    """Compare English word stems; default false. Without effect where `tokenizer_name` splits the words."""


def sees(reference: str, _arguments: Mapping[str, Any]) -> bool:
    """Whether `rouge_score` keeps at least half of the letters and digits of a text.

    It lowers the text and keeps a-z and 0-9 (its `tokenize.py`): of Chinese with a number in it, the number alone.
    """
    kept = len(re.findall("[a-z0-9]", reference.lower()))
    return kept > 0 and 2 * kept >= sum(map(str.isalnum, reference))


METRIC = MetricEntry(
    results=("rouge1", "rouge2", "rougeL", "rougeLsum"),
    module="sft.evaluation.metrics.rouge.module:Rouge",
    needs="texts",
    task_types=WRITTEN,
    range=(0.0, 1.0),
    row_sums="sft.evaluation.metrics.row_sums:mean_of_rows",
    text_rows="sft.evaluation.metrics.rouge.rows:rouge_rows",
    options=Options,
    splits_words=True,
    sees=sees,
)
