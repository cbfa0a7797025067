"""Exact match: the share of rows whose text equals the reference, white space at both ends aside, 0 to 1."""

from sft.config.section import Section
from sft.evaluation.metrics.entry import GENERATION, MetricEntry


class Options(Section):
    """Arguments of `exact_match`."""

    exact_match_ignore_case: bool = False
    """Compare without regard to case; default false."""

    exact_match_ignore_punctuation: bool = False
    """Leave ASCII punctuation out of the comparison; default false."""


METRIC = MetricEntry(
    results=("exact_match",),
    module="sft.evaluation.metrics.exact_match.module:ExactMatch",
    needs="texts",
    task_types=GENERATION,
    range=(0.0, 1.0),
    in_steps=True,
    options=Options,
)
