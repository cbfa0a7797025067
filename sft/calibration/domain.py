"""Domain-context calibration: divided by the probabilities on random words of the training texts.

Fei et al. 2023, "Mitigating Label Biases for In-context Learning", arXiv:2305.19148. As contextual calibration, with
p_d, the mean over `num_estimations` bags of words in place of the three inputs: words drawn from the rows that
examples are drawn from, as many as such a text has on average, never from evaluated rows.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores, Scores
from sft.calibration.priors import divided_by_prior


class DomainOptions(Options):
    """How the prior is estimated."""

    num_estimations: Annotated[int, Field(ge=1)] = 20
    """Bags of words; default 20, as in the paper."""

    per_row: bool = False
    """With examples drawn for each row: a prior for each row, with that row's examples; default false: one prior."""


def row_sets(options: DomainOptions) -> tuple[str, ...]:
    """Prompts with bags of words."""
    return (f"content_free:domain:{options.num_estimations}" + (":per_row" if options.per_row else ""),)


def calibrate(scores: Scores, found: Mapping[str, RowSetScores], options: DomainOptions) -> Calibrated:
    """p / p_d."""
    (name,) = row_sets(options)
    return divided_by_prior(scores, found[name].scores)


CALIBRATOR = Calibrator(
    options=DomainOptions,
    row_sets=row_sets,
    calibrate=calibrate,
    summary="divides by the probabilities on random words of the training rows (arXiv:2305.19148)",
)
