"""BERTScore F1, the mean over rows (Zhang et al., 2020): needs the extra `sft-grid[bertscore]` and a model.

It is not rescaled, so its numbers lie in a narrow band that depends on the encoder, often 0.8 to 1, and a share of a
range would say nothing of what counts as a small difference. Only its greatest value is declared: without `--margin`
no two set-ups are equivalent in it.
"""

import math
from typing import Annotated

from pydantic import Field

from sft.config.section import Section
from sft.evaluation.metrics.entry import WRITTEN, MetricEntry, RequiredPackage


class Options(Section):
    """Arguments of `bertscore`."""

    bertscore_lang: str = "en"
    """Language whose usual model is taken where `bertscore_model` names none; default en."""

    bertscore_model: str | None = None
    """Hub id or folder of the encoder; default: the package's choice for the language."""

    bertscore_layers: Annotated[int, Field(ge=1)] | None = None
    """Layer whose vectors are compared; needed for a model that the package does not know; default its choice."""


METRIC = MetricEntry(
    results=("bertscore",),
    module="sft.evaluation.metrics.bertscore.module:BertScore",
    needs="texts",
    task_types=WRITTEN,
    range=(-math.inf, 1.0),
    row_sums="sft.evaluation.metrics.row_sums:mean_of_rows",
    options=Options,
    paths=("bertscore_model",),
    package=RequiredPackage("bert_score", "pip install 'sft-grid[bertscore]'"),
    on_gpu=True,
)
