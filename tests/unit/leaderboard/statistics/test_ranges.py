"""Intervals of set-ups near the ends of a metric's range, and beyond where there is none."""

from math import inf

import numpy as np
import pytest

from sft.evaluation.selection import range_of
from sft.leaderboard.statistics.comparer import Comparer, Scale
from sft.leaderboard.statistics.seed_clusters import ALONE, Difference
from sft.leaderboard.statistics.uncertainty import Bounds, Resampled, within_range


@pytest.mark.parametrize(
    ("right", "bounds"), [(1.0, (0.0, 1.0)), (0.0, (0.0, 1.0)), (0.97, (0.0, 1.0)), (0.02, (0.0, None))]
)
def test_the_interval_of_a_set_up_stays_inside_the_metrics_range(
    right: float, bounds: tuple[float, float | None]
) -> None:
    samples = np.random.default_rng(1).binomial(60, right, 400) / 60
    comparer = Comparer(Scale(True, 0.02, bounds), 60)
    interval, covers = comparer.interval([Difference(None, right, samples, kind=ALONE)])
    assert bounds[0] <= interval.low <= right <= interval.high <= (1.0 if bounds[1] is None else bounds[1])
    assert interval.high - interval.low > 0.03
    assert covers == "test rows"


@pytest.mark.parametrize("bounds", [(float("-inf"), None), (float("-inf"), 1.0)])
def test_a_metric_without_a_least_value_has_a_plain_interval_and_no_margin_of_its_own(bounds: Bounds) -> None:
    samples = np.random.default_rng(1).normal(-0.5, 0.1, 400)
    scale = Scale(True, None, bounds)
    interval, _ = Comparer(scale, 60).interval([Difference(None, -0.5, samples, kind=ALONE)])
    assert scale.width is None
    assert -0.8 < interval.low < -0.5 < interval.high < -0.2


def test_an_interval_ends_at_the_greatest_value_of_a_metric_without_a_least() -> None:
    found = Resampled(0.95, np.linspace(0.75, 1.15, 400))
    assert within_range(found, 0.95, (-inf, None), 100).high > 1
    assert within_range(found, 0.95, (-inf, 1.0), 100).high == 1.0
    assert Scale(bounds=range_of("bertscore", {})).width is None


def test_at_the_end_of_a_range_what_other_runs_vary_by_is_not_blown_up() -> None:
    spread = np.random.default_rng(1).normal(0, 0.017, 2000)
    found = within_range(Resampled(0.0, spread), 0.0, (0.0, 1.0), 100)
    assert found.low == 0
    assert 0.034 < found.high < 0.08
    wide = within_range(Resampled(1.0, 10 * spread), 1.0, (0.0, 1.0), 100)
    assert wide.high == 1
    assert 0.6 < wide.low < 0.7
