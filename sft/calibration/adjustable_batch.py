"""Batch calibration with a strength: l - g * mean(l), g chosen on labelled rows.

The few-shot form of Zhou et al. 2024, arXiv:2309.17249. The prior, mean(l), is that of the evaluated rows, as in
`batch`; g is the value of the grid under which labelled rows of the pool, with that same prior taken off, have the
highest likelihood. g = 0 is no calibration and g = 1 is `batch`. Of equally good values the one closest to 1 is
taken, then the smaller. Likelihood and not accuracy, because few rows leave the accuracy the same over wide ranges
of g.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores, Scores
from sft.calibration.priors import LABELLED_ROWS, Space, labelled_rows, mean_log_loss, prior_of_rows, without_prior

DIGITS = 12
"""Log losses that agree so far are equal: what differs beyond is rounding."""


class AdjustableBatchOptions(Options):
    """How the strength is chosen."""

    gamma_range: Annotated[list[float], Field(min_length=2, max_length=2)] = [-5.0, 5.0]
    """Smallest and largest strength; default [-5, 5]."""

    gamma_steps: Annotated[int, Field(ge=2)] = 101
    """Values that are tried, evenly spaced, both ends included; default 101."""

    num_train_samples: Annotated[int, Field(ge=1)] = LABELLED_ROWS
    """Labelled rows of the pool, at most; default 64."""

    space: Space = "logit"
    """Where the prior is subtracted, as of `batch`; default logit."""

    @field_validator("gamma_range")
    @classmethod
    def _ascends(cls, value: list[float]) -> list[float]:
        if not value[0] < value[1]:
            raise ValueError("the first must be below the second")
        return value


def calibrate(scores: Scores, found: Mapping[str, RowSetScores], options: AdjustableBatchOptions) -> Calibrated:
    """The scores without g times what all rows share."""
    return calibrate_new(scores, scores, found, options)


def calibrate_new(
    scores: Scores, seen: Scores, found: Mapping[str, RowSetScores], options: AdjustableBatchOptions
) -> Calibrated:
    """The scores without g times what the rows seen before share; g is chosen with the prior of those."""
    rows = found[labelled_rows(options.num_train_samples)]
    prior = prior_of_rows(seen, options.space)

    def loss(gamma: float) -> float:
        return round(mean_log_loss(without_prior(rows.scores, prior, options.space, gamma), rows), DIGITS)

    lowest, highest = options.gamma_range
    tried = np.linspace(lowest, highest, options.gamma_steps).round(DIGITS).tolist()
    gamma = min(tried, key=lambda value: (loss(value), abs(value - 1), value))
    details = {"gamma": gamma, "log_loss_on_train_rows": {"uncalibrated": loss(0), "calibrated": loss(gamma)}}
    return Calibrated(without_prior(scores, prior, options.space, gamma), details)


CALIBRATOR = Calibrator(
    options=AdjustableBatchOptions,
    row_sets=lambda options: (labelled_rows(options.num_train_samples),),
    calibrate=calibrate,
    summary="as batch, with a strength chosen on labelled rows (arXiv:2309.17249)",
    uses_evaluated_rows=True,
    calibrate_new=calibrate_new,
)
