"""BLEU of the whole test set, 0 to 100 (the `sacrebleu` package, whose signature stands under `details`)."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sft.config.section import Section
from sft.evaluation.metrics.entry import WRITTEN, MetricEntry


class Options(Section):
    """Arguments of `bleu`."""

    bleu_tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """How sacrebleu splits words; default 13a. Without effect where `tokenizer_name` splits them."""

    bleu_lowercase: bool = False
    """Compare in lower case; default false."""


_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that write no blanks between words: Thai, Lao, Tibetan, Burmese, Khmer, Kana, Han."""
_LONGEST = 4


def sees(reference: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a text of a script without blanks is split into words enough for an n-gram of four, BLEU's longest."""
    if not _UNSPACED.search(reference):
        return True
    return len(str(_tokenizer(arguments["bleu_tokenize"])(reference)).split()) >= _LONGEST


@functools.cache
def _tokenizer(name: str | None) -> Callable[[str], str]:
    """How BLEU splits texts; some ways read a dictionary or a model first."""
    from sacrebleu.metrics.bleu import BLEU

    found: Callable[[str], str] = BLEU(tokenize=name).tokenizer
    return found


METRIC = MetricEntry(
    results=("bleu",),
    module="sft.evaluation.metrics.bleu.module:Bleu",
    needs="texts",
    task_types=WRITTEN,
    range=(0.0, 100.0),
    row_sums="sft.evaluation.metrics.bleu.row_sums:bleu_sums",
    text_rows="sft.evaluation.metrics.bleu.row_sums:bleu_rows",
    options=Options,
    splits_words=True,
    sees=sees,
)
