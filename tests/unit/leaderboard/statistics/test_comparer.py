"""How a mean of differences is judged: beside another way to work it out, and what it may be called."""

import itertools
import statistics as plain

import numpy as np
import pytest
from scipy import optimize, stats

from sft.leaderboard.records import Comparison, SeedKey
from sft.leaderboard.statistics.comparer import Comparer, Scale
from sft.leaderboard.statistics.formulas import SAMPLES, shifted_interval, tango_interval
from sft.leaderboard.statistics.moderation import Prior
from sft.leaderboard.statistics.seed_clusters import ALONE, BOTH_SEEDED, CONTEXTS, GAIN, Difference

ACCURACY = Scale(higher_is_better=True, margin=0.02, bounds=(0.0, 1.0))
PLAIN = Comparer(ACCURACY, 80)


def one(pairs: list[Difference], comparer: Comparer = PLAIN) -> Comparison:
    (found,) = comparer.family([comparer.mean(pairs)])
    assert found is not None
    return found


def simulated(
    rng: np.random.Generator, n_seeds: int, seed_spread: float, n_contexts: int = 1, shift: float = 0.0
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


def test_with_several_seeds_rows_are_normal_and_seeds_are_students() -> None:
    """Of S seeds with as many pairs each: s^2 / S, and the mean covariance of two seeds' row samples."""
    pairs = simulated(np.random.default_rng(1), 4, 0.05, n_contexts=2)
    means = [plain.fmean(pair.observed for pair in pairs if pair.seeds == (seed,)) for seed in range(4)]
    samples = [np.mean([pair.samples for pair in pairs if pair.seeds == (seed,)], axis=0) for seed in range(4)]
    rows = plain.fmean(np.cov(*two, ddof=0)[0, 1] for two in itertools.combinations(samples, 2))
    seeds = plain.variance(means) / 4

    def half(level: float) -> float:
        return float((stats.norm.isf(level / 2) ** 2 * rows + stats.t.isf(level / 2, 3) ** 2 * seeds) ** 0.5)

    found, mean = one(pairs), plain.fmean(means)
    assert (found.interval.low, found.interval.high) == pytest.approx((mean - half(0.05), mean + half(0.05)))
    assert found.p == pytest.approx(optimize.brentq(lambda level: half(level) - abs(mean), 1e-12, 1 - 1e-12), rel=1e-5)
    assert (found.covers, found.test, found.n_seeds, found.n_pairs) == ("test rows and seeds", "t", 4, 8)


def test_without_seeds_that_matter_it_is_the_shifted_bootstrap_over_rows() -> None:
    (pair,) = simulated(np.random.default_rng(2), 1, 0.0)
    found = one([Difference(None, pair.observed, pair.samples)])
    assert found.interval == shifted_interval(pair.samples, pair.observed)
    assert (found.covers, found.test, found.runs_only) == ("test rows", "bootstrap", False)


def test_shares_of_one_pair_are_compared_by_mcnemars_test_and_few_discordant_rows_by_the_exact_one() -> None:
    right = np.arange(100) < 60
    other = np.arange(100) < 48
    samples = np.zeros(9)
    found = one([Difference(None, 0.12, samples, (right, other))])
    assert (found.test, found.p) == ("mcnemar", pytest.approx(stats.chi2.sf(12, 1)))
    assert found.interval.low > 0
    few = one([Difference(None, 0.05, samples, (right, np.arange(100) < 55))])
    assert few.p == pytest.approx(2 / 2**5)
    assert few.interval.low <= 0 < few.interval.high


def test_one_seed_where_seeds_matter_is_a_comparison_of_two_runs() -> None:
    (pair,) = simulated(np.random.default_rng(3), 1, 0.0, shift=2.0)
    found = one([pair])
    assert found.p < 1e-6
    assert (found.runs_only, found.mark) == (True, "not told apart")


def test_one_seed_borrows_the_spread_of_the_boards_other_set_ups() -> None:
    (pair,) = simulated(np.random.default_rng(3), 1, 0.0, shift=0.3)
    comparer = Comparer(ACCURACY, 80, {BOTH_SEEDED: Prior(0.03**2, 7.0)})
    found = one([pair], comparer)
    half = (stats.norm.ppf(0.975) ** 2 * pair.samples.var() + stats.t.ppf(0.975, 7) ** 2 * 0.03**2) ** 0.5
    assert found.interval.high - found.difference == pytest.approx(half)
    assert (found.test, found.covers, found.runs_only, found.mark) == (
        "t-one-seed", "test rows and seeds", False, "better",
    )  # fmt: skip


def test_the_prior_is_that_of_the_kind_of_difference() -> None:
    """Means over contexts do not borrow from single pairs, nor the other way round."""
    rng = np.random.default_rng(6)
    known = [simulated(rng, 3, 0.1) for _ in range(8)] + [simulated(rng, 3, 0.1, n_contexts=3) for _ in range(3)]
    priors = PLAIN.with_priors(known).priors
    assert priors[BOTH_SEEDED].freedom > 0
    assert priors[f"{CONTEXTS} 3"] == Prior()
    alone = [[Difference(p.seeds, p.observed, p.samples, kind=ALONE) for p in pairs] for pairs in known[:8]]
    assert set(PLAIN.with_priors(alone).priors) == {ALONE}


def test_a_pair_without_seeds_counts_and_no_seed_moves_it() -> None:
    samples = np.zeros(50)
    seeded = [Difference((seed,), value, samples + value) for seed, value in enumerate((0.01, 0.03))]
    whole = one([*seeded, Difference(None, 0.08, samples + 0.08), Difference(None, 0.08, samples + 0.08)])
    widths = [found.interval.high - found.difference for found in (whole, one(seeded))]
    assert (whole.difference, whole.n_pairs, whole.n_seeds) == (pytest.approx(0.05), 4, 2)
    assert widths[0] == pytest.approx(widths[1] / 2)


def test_seeds_with_unequally_many_pairs_weigh_by_them() -> None:
    samples = np.zeros(50)
    pairs = [Difference((0,), 0.0, samples)] * 3 + [Difference((1,), 0.01, samples)]
    found = one(pairs)
    variance = 2 / 1 * ((0 - 3 * 0.0025) ** 2 + (0.01 - 0.0025) ** 2) / 4**2
    assert found.difference == pytest.approx(0.0025)
    assert found.interval.high - found.difference == pytest.approx(stats.t.ppf(0.975, 1) * variance**0.5)


def test_crossed_sources_each_count() -> None:
    """36 runs of six shots seeds and six init seeds are not 36 independent ones, nor six."""
    rng = np.random.default_rng(5)
    samples, covered = np.zeros(20), 0
    for _ in range(300):
        shots, init = rng.normal(0, 0.1, 6), rng.normal(0, 0.1, 6)
        pairs = [Difference((13, a, b), shots[a] + init[b], samples) for a, b in itertools.product(range(6), range(6))]
        interval = one(pairs).interval
        covered += interval.low <= 0 <= interval.high
    assert covered / 300 >= 0.92


def test_seeds_that_agree_wholly_may_still_differ_by_less_than_a_step() -> None:
    samples = np.zeros(99)
    same = [Difference((seed,), 0.0, samples) for seed in range(2)]
    assert (one(same).p, one(same).interval.high) == (1.0, 0.0)
    stepped = Comparer(Scale(True, None, (0.0, 1.0), step=0.01), 100)
    seeds, rows = 0.01**2 / 12 / 2, 3 * 0.01**2
    half = (stats.t.ppf(0.975, 1) ** 2 * seeds + stats.norm.ppf(0.975) ** 2 * rows) ** 0.5
    assert one(same, stepped).interval.high == pytest.approx(half)
    apart = [Difference((seed,), 0.5, samples + 0.5) for seed in range(2)]
    assert one(apart).p == pytest.approx(2 / (SAMPLES + 1))


def test_other_seeds_are_two_variances_with_their_own_freedom() -> None:
    """Two degrees and four; the rows that seeds hold too are taken off each side."""
    rng = np.random.default_rng(8)
    sides = [
        [Difference((n, *pair.seeds), pair.observed, pair.samples, kind=ALONE) for pair in simulated(rng, n, 0.1)]
        for n in (3, 5)
    ]
    finding = PLAIN.apart(*sides)
    assert finding is not None
    seeds = [plain.variance(pair.observed for pair in side) / len(side) for side in sides]
    means = [np.mean([pair.samples for pair in side], axis=0) for side in sides]
    twice = [
        (plain.fmean(pair.samples.var() for pair in side) - mean.var()) / (len(side) - 1)
        for side, mean in zip(sides, means, strict=True)
    ]
    rows = max((means[0] - means[1]).var() - sum(twice), 0)
    half = (
        stats.norm.ppf(0.975) ** 2 * rows
        + stats.t.ppf(0.975, 2) ** 2 * seeds[0]
        + stats.t.ppf(0.975, 4) ** 2 * seeds[1]
    ) ** 0.5
    assert finding.uncertainty.interval(0.95).high - finding.difference == pytest.approx(half)
    assert finding.uncertainty.test == "t-different-seeds"
    assert PLAIN.apart(sides[0][:1], sides[1]) is None


@pytest.mark.parametrize(
    ("shift", "spread", "higher", "mark"),
    [
        (0.0, 0.0005, True, "equivalent"),
        (0.01, 0.0005, True, "equivalent"),  # certainly apart, and by less than matters
        (0.1, 0.001, True, "better"),
        (0.1, 0.001, False, "worse"),
        (-0.1, 0.001, True, "worse"),
        (0.02, 0.01, True, "not told apart"),
    ],
)
def test_marks(shift: float, spread: float, higher: bool, mark: str) -> None:
    rng = np.random.default_rng(0)
    values = shift + spread * np.array([-1.0, 0.0, 1.0])
    pairs = [Difference((seed,), value, value + rng.normal(0, 1e-4, 99)) for seed, value in enumerate(values)]
    assert one(pairs, Comparer(Scale(higher, 0.02, (0.0, 1.0)), 100)).mark == mark


def test_without_a_margin_nothing_is_equivalent() -> None:
    pairs = [Difference((seed,), 0.0, np.zeros(99)) for seed in range(3)]
    assert one(pairs, Comparer(Scale(False, None, (0.0, None)), 100)).mark == "not told apart"


def test_the_family_is_corrected_by_holm_and_may_be_larger_than_what_is_reported() -> None:
    rng = np.random.default_rng(9)
    findings = [PLAIN.mean(simulated(rng, 3, 0.05, shift=shift)) for shift in (0.1, 0.2)]
    p = [finding.uncertainty.p for finding in findings]
    order = sorted(p)
    found = PLAIN.family([*findings, None], 5)
    assert found[2] is None
    assert [one.p_holm for one in found if one] == pytest.approx(
        [min(1.0, max(5 * order[0], 4 * value) if value != order[0] else 5 * value) for value in p]
    )


def test_what_is_needed_finds_the_margin_in_four_of_five_cases() -> None:
    """Rows and seeds as told, the normal test: 80 %."""
    pairs = simulated(np.random.default_rng(11), 3, 0.02)
    found = one(pairs)
    assert found.needed is not None
    finding = PLAIN.mean(pairs)
    error = (finding.rows * 80 / found.needed.rows + finding.seeds * 3 / found.needed.seeds) ** 0.5
    power = stats.norm.sf(stats.norm.ppf(0.975) - 0.02 / error)
    assert power == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("n_seeds", [0, 5])
@pytest.mark.parametrize(("n_rows", "mark"), [(20, "not told apart"), (2000, "equivalent")])
def test_that_no_row_was_seen_to_differ_is_weak_evidence_on_few_rows(n_seeds: int, n_rows: int, mark: str) -> None:
    """Two set-ups that are right in all rows: as by Tango's interval without discordant rows."""
    seeds: list[SeedKey | None] = [(seed,) for seed in range(n_seeds)] or [None]
    found = one([Difference(seed, 0.0, np.zeros(99)) for seed in seeds], Comparer(_in_steps(n_rows), n_rows))
    expected = tango_interval(n_rows, 0, 0, 0.9)
    assert found.mark == mark
    assert found.interval.high == pytest.approx(expected.high * 1.96 / 1.645, rel=0.35)


def _in_steps(n_rows: int) -> Scale:
    return Scale(True, 0.02, (0.0, 1.0), step=1 / n_rows)


@pytest.mark.parametrize("difference", [0.0, 0.3])
def test_a_continuous_metric_without_any_spread_tells_nothing(difference: float) -> None:
    pairs = [Difference((seed,), difference, np.full(99, difference)) for seed in range(3)]
    assert one(pairs, Comparer(Scale(False, 0.02, (0.0, None)), 100)).mark == "not told apart"


def test_gains_borrow_from_gains_alone() -> None:
    rng = np.random.default_rng(12)
    known = [simulated(rng, 3, 0.02) for _ in range(8)]
    gains = [[Difference(p.seeds, p.observed, p.samples, kind=GAIN) for p in simulated(rng, 3, 0.2)] for _ in range(8)]
    comparer = PLAIN.with_priors(known)
    assert GAIN not in comparer.priors
    with_gains = comparer.with_priors(gains)
    assert with_gains.priors[GAIN].variance > 10 * with_gains.priors[BOTH_SEEDED].variance
    assert with_gains.priors[BOTH_SEEDED] == comparer.priors[BOTH_SEEDED]


def test_without_common_seeds_as_many_seeds_are_needed_whatever_their_number() -> None:
    """The variance is divided by the seeds of each side: 3 and 10 of them ask for the same."""
    rng, asked = np.random.default_rng(13), []
    for count in (3, 10):
        values = 0.05 * stats.norm.ppf((np.arange(count) + 0.5) / count)
        values *= 0.05 / values.std(ddof=1)
        sides = [
            [Difference((side * 100 + k,), v, v + rng.normal(0, 1e-5, 50), kind=ALONE) for k, v in enumerate(values)]
            for side in (0, 1)
        ]
        (found,) = PLAIN.family([PLAIN.apart(*sides)])
        assert found is not None
        assert found.needed is not None
        asked.append(found.needed.seeds)
    assert asked[0] == pytest.approx(asked[1], abs=1)
    assert asked[0] == pytest.approx(2 * 0.05**2 * (2.8 / 0.02) ** 2, rel=0.02)
