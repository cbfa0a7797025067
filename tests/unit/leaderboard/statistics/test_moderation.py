"""Variances that borrow from each other: the prior that made them is found again."""

import numpy as np
import pytest

from sft.leaderboard.statistics.moderation import Prior, SeedVariance, least_variance, prior_of


def drawn(rng: np.random.Generator, prior: Prior, freedom: float, count: int) -> list[SeedVariance]:
    """Smyth's model: 1 / sigma^2 is chi-square with the prior's freedom, s^2 is sigma^2 chi-square."""
    true = prior.variance * prior.freedom / rng.chisquare(prior.freedom, count)
    return [SeedVariance(float(one), freedom) for one in true * rng.chisquare(freedom, count) / freedom]


@pytest.mark.parametrize("freedom", [1, 2, 4])
def test_the_prior_is_found_again(freedom: float) -> None:
    found = prior_of(drawn(np.random.default_rng(1), Prior(0.0004, 6.0), freedom, 20_000), 0.0)
    assert found.variance == pytest.approx(0.0004, rel=0.1)
    assert found.freedom == pytest.approx(6.0, rel=0.25)


def test_equal_variances_are_trusted_by_half_of_what_is_known() -> None:
    rng = np.random.default_rng(2)
    variances = [SeedVariance(0.01 * float(rng.chisquare(2)) / 2, 2) for _ in range(10)]
    found = prior_of(variances, 0.0)
    assert found.freedom <= 10
    assert found.variance == pytest.approx(0.01, rel=0.7)


def test_fewer_than_six_variances_tell_nothing() -> None:
    assert prior_of([SeedVariance(0.1, 2)] * 5, 0.0) == Prior()
    assert prior_of([SeedVariance(0.1, 2)] * 6, 0.0).freedom > 0


def test_a_variance_is_drawn_towards_what_is_usual() -> None:
    found = Prior(0.04, 4.0).moderated(SeedVariance(0.01, 2.0), 0.0)
    assert (found.variance, found.freedom) == (pytest.approx((4 * 0.04 + 2 * 0.01) / 6), 6.0)
    assert Prior().moderated(SeedVariance(0.01, 2.0), 0.0) == SeedVariance(0.01, 2.0)


def test_no_variance_is_less_than_rounding_makes_it() -> None:
    least = least_variance(0.01)
    values = np.random.default_rng(3).uniform(-0.005, 0.005, 100_000)
    assert least == pytest.approx(values.var(), rel=0.02)
    assert Prior().moderated(SeedVariance(0.0, 1.0), least).variance == least


def test_seeds_that_move_nothing_say_nothing_of_those_that_do() -> None:
    """A set-up with the same number at every seed, but for the rounding of floats, leaves the board its prior."""
    rng = np.random.default_rng(4)
    moved = [SeedVariance(0.01 * float(rng.chisquare(2)) / 2, 2) for _ in range(8)]
    assert prior_of([*moved, SeedVariance(1e-33, 2), SeedVariance(0.0, 2)], 0.0) == prior_of(moved, 0.0)
