"""How sure a mean of paired differences is: beside another way to work it out, and by simulation."""

import itertools
import statistics as plain

import numpy as np
import pytest
from scipy import stats

from sft.leaderboard.records import Certainty, Interval
from sft.leaderboard.statistics.formulas import SAMPLES, percentile_interval
from sft.leaderboard.statistics.uncertainty import (
    ROWS,
    ROWS_AND_SEEDS,
    Difference,
    estimate,
    holm_corrected,
    t_certainty,
    welch_freedom,
)


def certainty(pairs: list[Difference]) -> Certainty:
    found = estimate(pairs).certainty
    assert found is not None
    return found


def simulated(
    rng: np.random.Generator, n_seeds: int, seed_spread: float, n_contexts: int = 2, shift: float = 0.0
) -> list[Difference]:
    """Differences per row that a seed moves in all contexts, a row in all seeds, and chance in each cell."""
    n_rows = 80
    cells = (
        shift
        + rng.normal(0, seed_spread, (n_seeds, 1, 1))
        + rng.normal(0, 0.2, (1, 1, n_rows))
        + rng.normal(0, 0.3, (n_seeds, n_contexts, n_rows))
    )
    weights = rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), 250).T / n_rows
    return [
        Difference((seed,), float(cells[seed, context].mean()), cells[seed, context] @ weights)
        for seed, context in itertools.product(range(n_seeds), range(n_contexts))
    ]


def test_with_several_seeds_it_is_the_variance_of_seed_means_and_the_covariance_over_rows() -> None:
    """Of S seeds with as many pairs each: s^2 / S, and the mean covariance of two seeds' row samples."""
    rng = np.random.default_rng(1)
    pairs = simulated(rng, 4, 0.05)
    means = [plain.fmean(pair.observed for pair in pairs if pair.seeds == (seed,)) for seed in range(4)]
    samples = [np.mean([pair.samples for pair in pairs if pair.seeds == (seed,)], axis=0) for seed in range(4)]
    covariances = [np.cov(*two, ddof=0)[0, 1] for two in itertools.combinations(samples, 2)]
    over = plain.variance(means) / 4
    variance = over + plain.fmean(covariances)
    freedom = 3 * (variance / over) ** 2
    found = certainty(pairs)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (plain.fmean(means) - half, plain.fmean(means) + half)
    )
    assert found.p == pytest.approx(2 * stats.t.sf(abs(plain.fmean(means)) / variance**0.5, freedom))
    assert found.covers == ROWS_AND_SEEDS


def test_with_one_seed_it_is_the_percentile_interval_over_rows() -> None:
    pairs = simulated(np.random.default_rng(2), 1, 0.0)
    found = certainty(pairs)
    assert found.interval == percentile_interval(np.mean([pair.samples for pair in pairs], axis=0))
    assert found.covers == ROWS


@pytest.mark.parametrize(
    ("n_seeds", "seed_spread", "at_least"),
    [(2, 0.3, 0.86), (3, 0.0, 0.91), (3, 0.03, 0.91), (3, 0.3, 0.91), (5, 0.3, 0.92)],
)
def test_the_interval_covers_the_truth(n_seeds: int, seed_spread: float, at_least: float) -> None:
    """300 data sets, whether seeds are none, some or nearly all of the chance; rejections are the rest."""
    rng = np.random.default_rng(3)
    found = [certainty(simulated(rng, n_seeds, seed_spread, shift=0.1)) for _ in range(300)]
    assert np.mean([one.interval.low <= 0.1 <= one.interval.high for one in found]) >= at_least
    null = [certainty(simulated(rng, n_seeds, seed_spread)).p < 0.05 for _ in range(300)]
    assert np.mean(null) <= 1 - at_least


def test_percentiles_of_resampled_seeds_would_cover_less() -> None:
    """Why they are not used here: three seeds that are most of the chance."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        pairs = simulated(rng, 3, 0.3, n_contexts=1)
        values = np.stack([pair.samples for pair in pairs if pair.samples is not None])
        drawn = rng.integers(0, 3, (2, values.shape[1]))  # two of three: their variance is that of the mean
        interval = percentile_interval(values[drawn, np.arange(values.shape[1])].mean(axis=0))
        covered += interval.low <= 0 <= interval.high
    assert covered / 300 < 0.85


def test_a_pair_without_seeds_counts_and_no_seed_moves_it() -> None:
    samples = np.zeros(50)
    seeded = [Difference((seed,), value, samples + value) for seed, value in enumerate((0.1, 0.3))]
    whole = estimate([*seeded, Difference(None, 0.8, samples + 0.8), Difference(None, 0.8, samples + 0.8)])
    alone = estimate(seeded)
    assert (whole.difference, whole.n_pairs, whole.n_seeds) == (pytest.approx(0.5), 4, 2)
    assert whole.certainty is not None
    assert alone.certainty is not None
    widths = [one.interval.high - one.interval.low for one in (whole.certainty, alone.certainty)]
    assert widths[0] == pytest.approx(widths[1] / 2)
    assert estimate([Difference(None, 0.8, samples)]).n_seeds == 1


def test_pairs_without_samples_have_a_difference_alone() -> None:
    found = estimate([Difference((1,), 0.5, np.zeros(9)), Difference((1,), 0.1, None), Difference((2,), 0.3, None)])
    assert (found.difference, found.certainty, found.n_pairs, found.n_seeds) == (pytest.approx(0.3), None, 3, 2)


def test_seeds_with_unequally_many_pairs_weigh_by_them() -> None:
    samples = np.zeros(50)
    pairs = [Difference((0,), 0.0, samples)] * 3 + [Difference((1,), 0.4, samples)]
    found = estimate(pairs)
    assert found.difference == pytest.approx(0.1)
    assert found.certainty is not None
    variance = 2 / 1 * ((0 - 3 * 0.1) ** 2 + (0.4 - 0.1) ** 2) / 4**2
    half = stats.t.ppf(0.975, 1) * variance**0.5
    assert found.certainty.interval.high - found.difference == pytest.approx(half)


def test_crossed_sources_each_count() -> None:
    """36 runs of six shots seeds and six init seeds are not 36 independent ones, nor six."""
    rng = np.random.default_rng(5)
    samples = np.zeros(20)
    covered = 0
    for _ in range(300):
        shots, init = rng.normal(0, 1, 6), rng.normal(0, 1, 6)
        pairs = [
            Difference((13, one, two), shots[one] + init[two], samples)
            for one, two in itertools.product(range(6), range(6))
        ]
        interval = certainty(pairs).interval
        covered += interval.low <= 0 <= interval.high
    assert covered / 300 >= 0.92


def test_seeds_that_agree_wholly_are_certain() -> None:
    samples = np.zeros(99)
    same = [Difference((seed,), 0.0, samples) for seed in range(2)]
    assert certainty(same) == Certainty(Interval(0, 0), 1.0, ROWS_AND_SEEDS, 0.0)
    apart = [Difference((seed,), 0.5, samples + 0.5) for seed in range(2)]
    assert certainty(apart).p == pytest.approx(2 / (SAMPLES + 1))


def test_holm_is_over_those_that_have_a_p() -> None:
    found = [Certainty(Interval(0, 1), p, ROWS, 0.5) if p else None for p in (0.01, None, 0.04)]
    assert holm_corrected(found) == [pytest.approx(0.02), None, pytest.approx(0.04)]


def test_a_sum_of_two_variances_has_welchs_freedom() -> None:
    """Without chance of rows two groups of seeds are compared as scipy's Welch test does."""
    sides = [np.array([0.1, 0.2, 0.6]), np.array([0.4, 0.5, 0.45, 0.7])]
    found = [certainty([Difference((k,), x, np.zeros(9) + x) for k, x in enumerate(side)]) for side in sides]
    variances = [one.standard_error**2 for one in found]
    difference = sides[0].mean() - sides[1].mean()
    expected = stats.ttest_ind(*sides, equal_var=False)
    whole = t_certainty(difference, sum(variances), welch_freedom(variances, found))
    assert whole.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (whole.interval.low, whole.interval.high) == pytest.approx((interval.low, interval.high))
