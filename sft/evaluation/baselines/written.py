"""Baselines of tasks whose answer is a text: a piece of the input is the answer. They learn nothing from shots."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.data.rows import texts_of
from sft.evaluation.baselines.entry import Baseline, Outcome
from sft.evaluation.outputs import SplitOutput
from sft.evaluation.results import metrics_of_split
from sft.evaluation.rows import evaluated_rows
from sft.runs.records import JobRecord
from sft.tasks.inputs import Inputs

METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf", "exact_match")
"""All that compare a text with its reference and need no model."""

_SENTENCE_END = re.compile(
    r"""
    (?<!\b[A-Z])(?<!\b(?:Dr|Mr|Ms|St))(?<!\bMrs)  # initials and titles end no sentence
    [.!?]["'”’»)\]]*(?=\s|$)
    | [。！？]["'”’」』）]*
    | \n
    """,
    re.VERBOSE,
)


def lead_sentence(text: str) -> str:
    """The first sentence of a text: up to the first line break, or the first mark that ends a sentence."""
    begin = text.lstrip()
    found = _SENTENCE_END.search(begin)
    return begin if found is None else begin[: found.end()].rstrip()


def copies(_known: None, texts: Sequence[str]) -> NDArray[Any]:
    """The input itself as the answer."""
    return np.array(texts, dtype=object)


def lead_sentences(_known: None, texts: Sequence[str]) -> NDArray[Any]:
    """The first sentence of the input as the answer."""
    return np.array([lead_sentence(text) for text in texts], dtype=object)


def nothing_known(_inputs: Inputs) -> None:
    """What is learned from."""


def text_outcome(inputs: Inputs, split: str, texts: NDArray[Any], record: JobRecord) -> Outcome:
    """The numbers of all metrics of texts that need no model.

    Args:
        inputs: the rows to be scored.
        split: of the rows.
        texts: (rows,) answers.
        record: of the job.
    """
    config, predictions = inputs.config, [str(text) for text in texts]
    found = metrics_of_split(inputs, split, SplitOutput(predictions), record, METRICS)
    gold = texts_of(inputs.evaluated()[split], config.prompting.output_column)
    written = config.evaluation.model_extra or {}
    rows = evaluated_rows(SplitOutput(predictions), gold, written, found.per_row)
    return Outcome(rows, {name: value for name, value in found.results.items() if value is not None})


LEAD_SENTENCE = Baseline(nothing_known, lead_sentences, text_outcome, METRICS)
COPY = Baseline(nothing_known, copies, text_outcome, METRICS)
