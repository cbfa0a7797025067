"""Statistics beside closed forms, scipy and simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from sft.evaluation.metrics.label_sums import label_sums, over_labels_there
from sft.evaluation.metrics.row_sums import mean_of
from sft.evaluation.rows import EvaluatedRows
from sft.leaderboard.statistics import formulas
from sft.leaderboard.statistics.formulas import (
    SAMPLES,
    bootstrap_p,
    bootstrap_values,
    detectable_accuracy_difference,
    exact_mcnemar_p,
    holm,
    jackknife_variances,
    resamples,
    score_mcnemar_p,
    shifted_interval,
    tango_interval,
)


def test_samples_are_of_all_rows_and_do_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resamples(7, 1, 50)), axis=1)
    assert (whole.sum(axis=0) == 7).all()
    monkeypatch.setattr(formulas, "_CELLS", 70)
    parts = list(resamples(7, 1, 50))
    assert [part.shape[1] for part in parts] == [10] * 5
    assert (np.concatenate(parts, axis=1) == whole).all()


def test_the_spread_of_a_mean_is_the_closed_form() -> None:
    correct = np.arange(200) < 150
    values = bootstrap_values([mean_of(correct)])
    assert values.shape == (1, SAMPLES)
    assert values.mean() == pytest.approx(0.75, abs=0.003)
    assert values.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 200), rel=0.05)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """300 data sets of 120 rows: 95 % +- 3.5 points (2.8 standard errors of the count)."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        run = mean_of(rng.random(120) < 0.7)
        interval = shifted_interval(bootstrap_values([run], 500)[0], run.whole)
        covered += interval.low <= 0.7 <= interval.high
    assert covered / 300 == pytest.approx(0.95, abs=0.035)


@pytest.mark.parametrize(("first", "second"), list(itertools.product([0, 1, 5, 20], repeat=2)))
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert exact_mcnemar_p(first, second) == pytest.approx(expected, abs=1e-12)


def test_mcnemars_score_test_is_the_uncorrected_one() -> None:
    assert score_mcnemar_p(15, 5) == pytest.approx(stats.chi2.sf((15 - 5) ** 2 / 20, 1))
    assert score_mcnemar_p(5, 15) == score_mcnemar_p(15, 5)
    assert score_mcnemar_p(0, 0) == 1.0


def brute_tango(n: int, b: int, c: int) -> tuple[float, float]:
    """The differences that the score test does not reject, each with its own most likely shares, on a fine grid."""
    kept = []
    for difference in np.linspace(-0.999, 0.999, 3997):
        low, high = max(0.0, -difference), min(1.0, (1 - difference) / 2 + 1e-12)
        share = np.linspace(low, high, 4001)[1:-1]  # of rows that the second alone has right
        other, rest = share + difference, 1 - 2 * share - difference
        ok = (other > 0) & (rest > 0)
        likely = c * np.log(share[ok]) + b * np.log(other[ok]) + (n - b - c) * np.log(rest[ok])
        best = share[ok][likely.argmax()]
        variance = (2 * best + difference - difference**2) / n
        if abs((b - c) / n - difference) <= stats.norm.ppf(0.975) * variance**0.5:
            kept.append(difference)
    return min(kept), max(kept)


@pytest.mark.parametrize(("n", "b", "c"), [(50, 12, 4), (50, 4, 12), (200, 20, 18), (30, 9, 0)])
def test_tangos_interval_holds_what_the_score_test_does_not_reject(n: int, b: int, c: int) -> None:
    found = tango_interval(n, b, c)
    assert (found.low, found.high) == pytest.approx(brute_tango(n, b, c), abs=2e-3)
    assert (found.low <= 0 <= found.high) == (score_mcnemar_p(b, c) >= 0.05)


def test_tangos_interval_without_discordant_rows_is_wilsons_of_none() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    found = tango_interval(100, 0, 0)
    assert (found.low, found.high) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)), abs=1e-6)


def test_biased_samples_are_shifted_to_the_estimate() -> None:
    samples = np.random.default_rng(0).normal(0.4, 0.1, 5000)
    found = shifted_interval(samples, 0.5)
    assert (found.low + found.high) / 2 == pytest.approx(0.5, abs=0.01)
    assert bootstrap_p(samples - 0.2, 0.0) == pytest.approx(1.0, abs=0.05)


def test_the_bootstrap_p_is_that_of_the_normal_test_of_a_mean() -> None:
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.05, 0.1, 0.5):
        losses = [rng.gamma(2, 0.4, 300) for _ in range(2)]
        values = bootstrap_values([mean_of(losses[0] + shift), mean_of(losses[1])])
        paired = losses[0] + shift - losses[1]
        expected = 2 * stats.norm.sf(abs(paired.mean()) / (paired.std() / np.sqrt(300)))
        assert bootstrap_p(values[0] - values[1], paired.mean()) == pytest.approx(expected, abs=0.03)
    assert expected < 1e-9


def test_equal_runs_differ_by_nothing() -> None:
    assert bootstrap_p(np.zeros(100), 0.0) == 1


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([0.01, 0.001], 6) == pytest.approx([0.05, 0.006])


def test_the_detectable_difference_is_found_in_80_percent_of_simulated_tests() -> None:
    """2,000 data sets, the normal McNemar test: +- 3 points."""
    n_rows, discordant = 400, 0.2
    difference = detectable_accuracy_difference(n_rows, discordant)
    assert difference is not None
    rng = np.random.default_rng(4)
    shares = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    counts = rng.multinomial(n_rows, shares, 2000)
    z = (counts[:, 0] - counts[:, 1]) / np.sqrt(counts[:, 0] + counts[:, 1])
    assert (np.abs(z) > stats.norm.ppf(0.975)).mean() == pytest.approx(0.8, abs=0.03)


def test_few_rows_show_no_difference_at_all() -> None:
    assert detectable_accuracy_difference(5, 0.2) is None
    assert detectable_accuracy_difference(500, 0.0) is None


def test_the_jackknife_of_a_mean_is_its_textbook_variance() -> None:
    values = np.random.default_rng(0).normal(0, 1, (3, 50))
    found = jackknife_variances([mean_of(own) for own in values])
    assert found == pytest.approx(values.var(axis=1, ddof=1) / 50)


@pytest.mark.filterwarnings("error")
def test_the_jackknife_of_a_single_row_is_nothing() -> None:
    gold = np.array([1])
    sums = over_labels_there("macro_f1", EvaluatedRows(gold == gold, gold, gold), 3)
    assert sums is not None
    assert jackknife_variances([sums]).tolist() == [0.0]


@pytest.mark.parametrize("cells", [1, 100, 1 << 22])
def test_the_jackknife_leaves_out_each_row_in_turn_however_it_is_batched(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formulas, "_CELLS", cells)
    rng, runs, expected = np.random.default_rng(1), [], []
    for n_labels in (3, 3, 70):
        gold, predicted = rng.integers(0, n_labels, (2, 60))
        rows = EvaluatedRows(gold == predicted, gold, predicted)
        sums = label_sums("macro_f1", rows, n_labels, {})
        assert sums is not None
        left = sums.values(1.0 - np.eye(60))
        runs.append(sums)
        expected.append(59 / 60 * ((left - left.mean()) ** 2).sum())
    assert jackknife_variances(runs) == pytest.approx(expected)
