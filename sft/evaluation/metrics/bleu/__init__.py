"""BLEU of the whole test set, 0 to 100 (the `sacrebleu` package, whose signature stands under `details`)."""

from typing import Literal

from sft.config.section import Section
from sft.evaluation.metrics.entry import GENERATION, MetricEntry


class Options(Section):
    """Arguments of `bleu`."""

    bleu_tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """How sacrebleu splits words; default 13a. Without effect where `tokenizer_name` splits them."""

    bleu_lowercase: bool = False
    """Compare in lower case; default false."""


METRIC = MetricEntry(
    results=("bleu",),
    module="sft.evaluation.metrics.bleu.module:Bleu",
    needs="texts",
    task_types=GENERATION,
    options=Options,
    splits_words=True,
)
