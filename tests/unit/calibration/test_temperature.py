"""A temperature that was planted is found again."""

import numpy as np
import pytest

from sft.calibration.calibrator import RowSetScores
from sft.calibration.priors import log_probabilities
from sft.calibration.temperature import CALIBRATOR, HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, fitted_temperature


def planted(temperature: float, rows: int = 20_000) -> RowSetScores:
    """Rows whose labels follow their scores divided by a temperature."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(rows, 3)) * 2
    chances = np.exp(log_probabilities(scores / temperature))
    gold = (rng.random((rows, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    return RowSetScores(scores, gold)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_recovered(temperature: float) -> None:
    assert fitted_temperature(planted(temperature)) == pytest.approx(temperature, rel=0.05)


def test_the_closed_form_of_two_labels() -> None:
    """Three of four rows are right with a margin of 1 nat: the best margin is log 3, the temperature 1 / log 3."""
    rows = RowSetScores(np.array([[1.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    assert fitted_temperature(rows) == pytest.approx(1 / np.log(3), rel=1e-12)


def test_bounds_hold_where_no_temperature_is_best() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fitted_temperature(RowSetScores(scores, np.array([0, 1]))) == LOWEST_TEMPERATURE
    assert fitted_temperature(RowSetScores(scores, np.array([1, 0]))) == HIGHEST_TEMPERATURE


def test_scores_are_divided_and_predictions_stay() -> None:
    rows = RowSetScores(np.array([[1.0, 0.0]] * 4), np.array([0, 0, 0, 1]))
    scores = np.array([[0.0, -0.1], [-9.0, -7.0], [-300.0, -300.5]])
    options = CALIBRATOR.options()
    (name,) = CALIBRATOR.row_sets(options)
    found = CALIBRATOR.calibrate(scores, {name: rows}, options)
    wanted = np.exp(log_probabilities(scores * np.log(3)))
    assert np.exp(log_probabilities(found.scores)) == pytest.approx(wanted)
    assert found.scores.argmax(axis=1).tolist() == scores.argmax(axis=1).tolist()
    details = found.details
    assert details["temperature"] == pytest.approx(1 / np.log(3))
    assert not details["at_bound"]
    losses = details["log_loss_on_train_rows"]
    assert losses["calibrated"] == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 4)
    assert losses["calibrated"] < losses["uncalibrated"]
