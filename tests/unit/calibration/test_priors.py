"""Calibrators that take a prior off, on scores small enough to do by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.calibration.adjustable_batch import CALIBRATOR as ADJUSTABLE
from sft.calibration.batch import CALIBRATOR as BATCH
from sft.calibration.calibrator import RowSetScores
from sft.calibration.contextual import CALIBRATOR as CONTEXTUAL
from sft.calibration.domain import CALIBRATOR as DOMAIN
from sft.calibration.none import CALIBRATOR as NONE
from sft.calibration.priors import log_mean_probability, log_probabilities, prior_of_rows, without_prior

P = np.array([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4], [0.2, 0.2, 0.6]])
SCORES = np.log(P) - np.array([[1.0], [30.0], [400.0]])
"""Label scores are no probabilities: what else the model could say is missing from each row."""
SPACES = ("logit", "log_ratio", "prob")
numbers = st.floats(-40, 0)
matrices = st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=2, max_size=6).map(np.array)


def probabilities(scores: np.ndarray) -> np.ndarray:
    return np.exp(log_probabilities(scores))


def normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=1, keepdims=True)


def contextual(scores: np.ndarray, prompts: np.ndarray, **options: bool) -> np.ndarray:
    chosen = CONTEXTUAL.options(**options)
    (name,) = CONTEXTUAL.row_sets(chosen)
    return probabilities(CONTEXTUAL.calibrate(scores, {name: RowSetScores(prompts)}, chosen).scores)


def batch(scores: np.ndarray, space: str = "logit") -> np.ndarray:
    return probabilities(BATCH.calibrate(scores, {}, BATCH.options(space=space)).scores)


def test_none_gives_the_scores_back() -> None:
    assert NONE.calibrate(SCORES, {}, NONE.options()).scores is SCORES
    assert NONE.row_sets(NONE.options()) == ()


def test_contextual_divides_by_the_mean_probability_without_content() -> None:
    free = np.array([[0.8, 0.1, 0.1], [0.4, 0.3, 0.3], [0.6, 0.2, 0.2]])
    found = contextual(SCORES, np.log(free) - 7)
    assert found == pytest.approx(normalised(P / np.array([0.6, 0.2, 0.2])))


def test_contextual_says_which_prior_it_found() -> None:
    free = np.log([[0.8, 0.1, 0.1], [0.4, 0.3, 0.3], [0.6, 0.2, 0.2]])
    options = CONTEXTUAL.options()
    given_back = CONTEXTUAL.calibrate(SCORES, {"content_free:contextual:3": RowSetScores(free)}, options)
    assert given_back.details["prior"] == pytest.approx([0.6, 0.2, 0.2])


def test_an_input_without_content_becomes_uniform() -> None:
    free = np.log([[0.7, 0.2, 0.1]]) - 50
    assert contextual(free, free) == pytest.approx(np.full((1, 3), 1 / 3))


def test_a_prior_for_each_row_is_that_row_s_own() -> None:
    free = np.log([[[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]], [[0.1, 0.1, 0.8]] * 2, [[1 / 3] * 3] * 2])
    found = contextual(SCORES, free, per_row=True)
    priors = np.array([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [1 / 3] * 3])
    assert found == pytest.approx(normalised(P / priors))
    assert found[2] == pytest.approx(P[2])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "content_free:domain:20"),
        ({"num_estimations": 5}, "content_free:domain:5"),
        ({"num_estimations": 5, "per_row": True}, "content_free:domain:5:per_row"),
    ],
)
def test_domain_divides_by_the_mean_over_its_bags_of_words(options: dict[str, object], name: str) -> None:
    bags = np.log([[0.9, 0.05, 0.05], [0.5, 0.25, 0.25]])
    chosen = DOMAIN.options(**options)
    assert DOMAIN.row_sets(chosen) == (name,)
    found = DOMAIN.calibrate(SCORES, {name: RowSetScores(bags)}, chosen).scores
    assert probabilities(found) == pytest.approx(normalised(P / np.array([0.7, 0.15, 0.15])))


def test_batch_subtracts_what_the_rows_share_in_each_space() -> None:
    geometric = np.exp(np.log(P).mean(axis=0))
    assert batch(SCORES, "logit") == pytest.approx(normalised(P / geometric))
    assert batch(SCORES, "log_ratio") == pytest.approx(normalised(P / P.mean(axis=0)))
    shifted = P - P.mean(axis=0) + 1 / 3
    assert (shifted > 0).all()
    assert batch(SCORES, "prob") == pytest.approx(shifted)


def test_the_three_readings_of_batch_differ() -> None:
    found = [batch(SCORES, space) for space in SPACES]
    assert all(abs(one - other).max() > 0.01 for one, other in zip(found, found[1:] + found[:1], strict=True))


@settings(deadline=None, max_examples=60)
@given(matrices, st.lists(numbers, min_size=3, max_size=3))
def test_batch_does_not_see_an_offset_that_all_rows_share(scores: np.ndarray, offsets: list[float]) -> None:
    assert batch(scores + np.array(offsets)) == pytest.approx(batch(scores), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(matrices, st.sampled_from(SPACES), st.floats(-5, 5))
def test_a_prior_in_prob_never_decides_by_clamping(scores: np.ndarray, space: str, strength: float) -> None:
    prior = prior_of_rows(scores, space)  # type: ignore[arg-type]
    found = without_prior(scores, prior, space, strength)  # type: ignore[arg-type]
    assert np.isfinite(found).all()
    assert np.exp(found).sum(axis=1) == pytest.approx(1)
    if space == "prob":
        wanted = np.exp(log_probabilities(scores)) - strength * prior
        best = wanted[np.arange(len(wanted)), found.argmax(axis=1)]
        assert best == pytest.approx(wanted.max(axis=1), abs=1e-12)


def test_batch_pushes_skewed_rows_to_even_parts() -> None:
    """The caveat of the method: 9 of 10 rows are plainly label 0, and a third of them is taken for another."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(300, 2)) * 0.8 + np.where(rng.random((300, 1)) < 0.9, [2.0, 0.0], [0.0, 2.0])
    before, after = scores.argmax(axis=1).mean(), batch(scores).argmax(axis=1).mean()
    assert before < 0.15
    assert after > 0.25


def test_the_order_of_the_rows_is_no_difference() -> None:
    order = [2, 0, 1]
    assert batch(SCORES[order]) == pytest.approx(batch(SCORES)[order])


def test_tiny_probabilities_keep_their_share_and_impossible_labels_stay_finite() -> None:
    scores = np.array([[0.0, -2000.0, -np.inf], [0.0, -300.0, -1.0]])
    logs = log_probabilities(scores)
    assert np.isfinite(logs).all()
    assert log_mean_probability(np.array([[0.0, -600.0], [0.0, -600.0]]))[1] == pytest.approx(-600)
    for space in SPACES:
        assert np.isfinite(batch(scores, space)).all()
    assert np.isfinite(contextual(scores, scores)).all()


def labelled(scores: list[list[float]], gold: list[int]) -> dict[str, RowSetScores]:
    return {"train:64": RowSetScores(np.array(scores), np.array(gold))}


def test_the_strength_is_the_one_under_which_labelled_rows_are_likeliest() -> None:
    """The evaluated rows say that label 0 has 2 nats too much, the labelled ones that half of it is right."""
    scores = np.array([[2.0, 0.0], [2.0, 0.0]])
    rows = labelled([[1.0, 0.0], [1.0, 0.0]], [0, 1])
    options = ADJUSTABLE.options()
    found = ADJUSTABLE.calibrate(scores, rows, options)
    assert ADJUSTABLE.row_sets(options) == ("train:64",)
    assert found.details["gamma"] == 0.5
    assert probabilities(found.scores) == pytest.approx(normalised(np.exp([[1.0, 0.0]] * 2)))
    losses = found.details["log_loss_on_train_rows"]
    assert losses["calibrated"] == pytest.approx(np.log(2))
    assert losses["calibrated"] < losses["uncalibrated"]


def test_of_equally_good_strengths_the_one_nearest_to_batch_wins() -> None:
    scores = np.array([[0.0, 0.0], [0.0, 0.0]])
    rows = labelled([[1.0, 0.0]], [0])
    for bounds, expected in (([-5.0, 5.0], 1.0), ([-5.0, 0.5], 0.5), ([1.5, 4], 1.5)):
        options = ADJUSTABLE.options(gamma_range=bounds)
        assert ADJUSTABLE.calibrate(scores, rows, options).details["gamma"] == expected


def test_strengths_0_and_1_are_no_calibration_and_batch() -> None:
    for space in SPACES:
        prior = prior_of_rows(SCORES, space)  # type: ignore[arg-type]
        assert np.exp(without_prior(SCORES, prior, space, 0)) == pytest.approx(P)  # type: ignore[arg-type]
        assert np.exp(without_prior(SCORES, prior, space, 1)) == pytest.approx(batch(SCORES, space))  # type: ignore[arg-type]


def test_a_strength_may_turn_a_prior_round() -> None:
    scores = np.array([[1.0, 0.0]])
    rows = labelled([[0.0, 1.0]] * 20, [0] * 20)
    assert ADJUSTABLE.calibrate(scores, rows, ADJUSTABLE.options()).details["gamma"] == -5
