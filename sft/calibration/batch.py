"""Batch calibration: what the evaluated rows have in common is taken off.

Zhou et al. 2024, "Batch Calibration", arXiv:2309.17249. The prior is estimated from the scores of the evaluated rows
themselves, without their labels and always over all rows of the split, so that neither order nor batches matter. Three
readings of the method exist, and they differ:

- `logit`: log p - mean(log p), subtraction in score space; unmoved by any offset per label that all rows share.
- `log_ratio`: log p - log(mean p), a contextual calibration with the rows themselves as content-free inputs.
- `prob`: p - mean(p), made to sum to 1 by adding 1 / labels to each and clamping what is below 0.

It supposes that every label is about equally frequent: rows of which 9 in 10 have one label are pushed to even parts.
"""

from collections.abc import Mapping

import numpy as np

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores, Scores
from sft.calibration.priors import Space, log_probabilities, prior_of_rows, without_prior


class BatchOptions(Options):
    """Where the prior is subtracted."""

    space: Space = "logit"
    """`logit`: from log-probabilities their mean; `log_ratio`: the logarithm of the mean probability; `prob`: from
    probabilities their mean; default logit.
    """


def calibrate(scores: Scores, found: Mapping[str, RowSetScores], options: BatchOptions) -> Calibrated:
    """The scores without what all rows share."""
    return calibrate_new(scores, scores, found, options)


def calibrate_new(
    scores: Scores, seen: Scores, found: Mapping[str, RowSetScores], options: BatchOptions
) -> Calibrated:
    """The scores without what the rows seen before share."""
    prior = prior_of_rows(seen, options.space)
    shown = prior if options.space == "prob" else np.exp(log_probabilities(prior))
    return Calibrated(without_prior(scores, prior, options.space), {"prior": shown.tolist()})


CALIBRATOR = Calibrator(
    options=BatchOptions,
    row_sets=lambda options: (),
    calibrate=calibrate,
    summary="takes off what all evaluated rows have in common (arXiv:2309.17249)",
    uses_evaluated_rows=True,
    calibrate_new=calibrate_new,
)
