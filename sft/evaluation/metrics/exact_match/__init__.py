"""Exact match: the share of rows whose text equals the reference, white space at both ends aside, 0 to 1."""

import string
from collections.abc import Mapping
from typing import Any

from sft.config.section import Section
from sft.evaluation.metrics.entry import WRITTEN, MetricEntry


class Options(Section):
    """Arguments of `exact_match`."""

    exact_match_ignore_case: bool = False
    """Compare without regard to case; default false."""

    exact_match_ignore_punctuation: bool = False
    """Leave ASCII punctuation out of the comparison; default false."""


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def is_match(text: str, reference: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a text counts as the reference."""

    def form(text: str) -> str:
        text = text.translate(_NO_PUNCTUATION) if arguments["exact_match_ignore_punctuation"] else text
        return (text.casefold() if arguments["exact_match_ignore_case"] else text).strip()

    return form(text) == form(reference)


METRIC = MetricEntry(
    results=("exact_match",),
    module="sft.evaluation.metrics.exact_match.module:ExactMatch",
    needs="texts",
    task_types=WRITTEN,
    range=(0.0, 1.0),
    row_sums="sft.evaluation.metrics.row_sums:share_right",
    in_steps=True,
    options=Options,
)
