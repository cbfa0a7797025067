"""Temperature scaling: scores divided by the temperature under which labelled rows are most likely.

Guo et al. 2017, arXiv:1706.04599. It never changes which label is most probable, only how sure the probabilities are
(log loss, ECE). The negative log-likelihood is convex in b = 1 / T and its slope is the mean of E_p[l] - l(gold), so
that halving intervals of log b finds the minimum whatever the scores, the same on every machine.
"""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from sft.calibration.calibrator import Calibrated, Calibrator, Options, RowSetScores, Scores
from sft.calibration.priors import LABELLED_ROWS, labelled_rows, log_probabilities, mean_log_loss

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 100.0
"""Bounds: rows that are all right would have T = 0, rows that no T makes likelier T = infinity."""
HALVINGS = 60


class TemperatureOptions(Options):
    """What the temperature is fitted on."""

    num_train_samples: Annotated[int, Field(ge=1)] = LABELLED_ROWS
    """Labelled rows of the pool, at most; default 64."""


def calibrate(scores: Scores, found: Mapping[str, RowSetScores], options: TemperatureOptions) -> Calibrated:
    """Log-probabilities divided by T."""
    rows = found[labelled_rows(options.num_train_samples)]
    temperature = fitted_temperature(rows)
    losses = {
        "uncalibrated": mean_log_loss(rows.scores, rows),
        "calibrated": mean_log_loss(log_probabilities(rows.scores) / temperature, rows),
    }
    details = {
        "temperature": temperature,
        "at_bound": temperature in (LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE),
        "log_loss_on_train_rows": losses,
    }
    return Calibrated(log_probabilities(scores) / temperature, details)


def fitted_temperature(rows: RowSetScores) -> float:
    """The temperature with the least log loss on labelled rows, within the bounds."""
    if rows.gold is None:
        raise ValueError("these rows have no gold labels")
    logs = log_probabilities(rows.scores)
    gold = logs[np.arange(len(logs)), rows.gold]

    def slope(inverse: float) -> float:
        probabilities = np.exp(log_probabilities(inverse * logs))
        return float(((probabilities * logs).sum(axis=1) - gold).mean())

    if slope(1 / HIGHEST_TEMPERATURE) >= 0:
        return HIGHEST_TEMPERATURE
    if slope(1 / LOWEST_TEMPERATURE) <= 0:
        return LOWEST_TEMPERATURE
    low, high = -np.log(HIGHEST_TEMPERATURE), -np.log(LOWEST_TEMPERATURE)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(np.exp(middle)) < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


CALIBRATOR = Calibrator(
    options=TemperatureOptions,
    row_sets=lambda options: (labelled_rows(options.num_train_samples),),
    calibrate=calibrate,
    summary="divides the scores by one number fitted on labelled rows; changes no prediction (arXiv:1706.04599)",
)
