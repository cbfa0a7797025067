"""Intervals of macro-F1 hold what other test sets would give, also where labels have two rows each."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sft.evaluation.metrics.label_sums import label_sums
from sft.evaluation.metrics.row_sums import RowSums
from sft.evaluation.rows import EvaluatedRows
from sft.leaderboard.statistics.comparer import Comparer, Scale
from sft.leaderboard.statistics.run_samples import sampled
from sft.leaderboard.statistics.seed_clusters import ALONE, Difference

METRIC = "macro_f1"
DATA_SETS = 400


class Classifier:
    """One that is right in each label with a probability of its own, else says another label of its liking."""

    def __init__(self, n_labels: int, n_rows: int, is_even: bool) -> None:
        self.rng = np.random.default_rng(5)
        self.n_labels, self.n_rows, self.is_even = n_labels, n_rows, is_even
        chances = self.rng.dirichlet(np.full(n_labels, 0.3), n_labels)
        right = self.rng.uniform(0.4, 0.95, n_labels)
        np.fill_diagonal(chances, 0)
        chances *= ((1 - right) / chances.sum(axis=1))[:, None]
        chances[np.arange(n_labels), np.arange(n_labels)] = right
        self.chances: NDArray[np.float64] = chances.cumsum(axis=1)

    def test_set(self) -> RowSums:
        """Every label has a row, and others by chance: as often each, or as by Zipf's law."""
        share = 1 / np.arange(1, self.n_labels + 1) ** (0.0 if self.is_even else 0.7)
        others = self.rng.choice(self.n_labels, self.n_rows - self.n_labels, p=share / share.sum())
        gold = np.concatenate([np.arange(self.n_labels), others])
        drawn = (self.rng.random(self.n_rows)[:, None] > self.chances[gold]).sum(axis=1)
        predicted = np.minimum(drawn, self.n_labels - 1)
        rows = EvaluatedRows(gold == predicted, gold, predicted)
        found = label_sums(METRIC, rows, self.n_labels, {})
        assert found is not None
        return found


@pytest.mark.slow
@pytest.mark.parametrize("is_even", [True, False], ids=["even", "zipf"])
@pytest.mark.parametrize(("n_labels", "n_rows"), [(3, 150), (30, 150), (77, 150), (77, 500)])
def test_the_interval_of_macro_f1_holds_the_truth(n_labels: int, n_rows: int, is_even: bool) -> None:
    """At least 93 % of 400 data sets, whose seed is fixed."""
    classifier = Classifier(n_labels, n_rows, is_even)
    truth = float(np.mean([classifier.test_set().whole for _ in range(2000)]))
    sums = [classifier.test_set() for _ in range(DATA_SETS)]
    comparer = Comparer(Scale(bounds=(0.0, 1.0)), n_rows)
    covered = 0
    for run, samples in zip(sums, sampled(sums, METRIC), strict=True):
        interval, _ = comparer.interval([Difference(None, run.whole, samples, kind=ALONE)])
        covered += interval.low <= truth <= interval.high
    assert covered / DATA_SETS >= 0.93
