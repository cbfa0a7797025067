"""Contextual calibration: divided by the probabilities on inputs without content.

Zhao et al. 2021, "Calibrate Before Use", arXiv:2102.09690. With p the label probabilities of a row (they sum to 1 over
the labels) and p_cf their mean over the inputs "N/A", "[MASK]" and "" in the very same prompt, the calibrated
probabilities are proportional to p / p_cf. The paper puts diag(p_cf)^-1 p through one more softmax, which has the same
argmax; here the ratios are made to sum to 1, so that a prior of equal parts changes nothing.
"""

from collections.abc import Mapping

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores, Scores
from sft.calibration.priors import divided_by_prior

INPUTS = 3


class ContextualOptions(Options):
    """How the prior is estimated."""

    per_row: bool = False
    """With examples drawn for each row: a prior for each row, with that row's examples; default false: one prior."""


def row_sets(options: ContextualOptions) -> tuple[str, ...]:
    """Prompts with the three inputs of the paper."""
    return (f"content_free:contextual:{INPUTS}" + (":per_row" if options.per_row else ""),)


def calibrate(scores: Scores, found: Mapping[str, RowSetScores], options: ContextualOptions) -> Calibrated:
    """p / p_cf."""
    (name,) = row_sets(options)
    return divided_by_prior(scores, found[name].scores)


CALIBRATOR = Calibrator(
    options=ContextualOptions,
    row_sets=row_sets,
    calibrate=calibrate,
    summary="divides by the probabilities on the inputs 'N/A', '[MASK]' and '' (arXiv:2102.09690)",
)
