"""chrF of the whole test set, 0 to 100: F-score of character n-grams (Popović, 2015; the `sacrebleu` package)."""

from typing import Annotated

from pydantic import Field

from sft.config.section import Section
from sft.evaluation.metrics.entry import WRITTEN, MetricEntry


class Options(Section):
    """Arguments of `chrf`."""

    chrf_word_order: Annotated[int, Field(ge=0)] = 0
    """Longest word n-gram counted beside the characters; default 0, 2 gives chrF++."""


METRIC = MetricEntry(
    results=("chrf",),
    module="sft.evaluation.metrics.chrf.module:Chrf",
    needs="texts",
    task_types=WRITTEN,
    range=(0.0, 100.0),
    row_sums="sft.evaluation.metrics.chrf.row_sums:chrf_sums",
    text_rows="sft.evaluation.metrics.chrf.row_sums:chrf_rows",
    options=Options,
)
