"""How sure a mean over runs, or over pairs of runs, is: three ways to tell, each with its intervals and its p.

`RowsAndSeeds`: several seeds. `Resampled`: one run or pair, by bootstrap over rows. `PairedShares`: one pair of shares
of right rows. Which one is in force is decided in `comparer.py` alone.
"""

from dataclasses import dataclass
from functools import cached_property
from math import exp, isfinite
from typing import Protocol

import numpy as np

from sft.leaderboard.records import Interval
from sft.leaderboard.statistics.formulas import (
    POWER,
    SAMPLES,
    Floats,
    bootstrap_p,
    detectable_accuracy_difference,
    exact_mcnemar_p,
    normal_quantile,
    score_mcnemar_p,
    shifted_interval,
    tango_interval,
)
from sft.leaderboard.statistics.moderation import SeedVariance

FEWEST_DISCORDANT = 6
"""With fewer rows that one of two has right alone the exact test never rejects at 5 %, and the score test may."""

_LARGEST_EXPONENT = 100.0
"""An interval that reaches further on the scale of logarithms tells nothing more."""

_LEAST_LOG_P = -34.0
"""Natural logarithm of the smallest p that is told, 2e-15; the quantiles of t are exact down to there."""


Bounds = tuple[float, float | None]
"""The least and the greatest value of a metric; None: it has no greatest."""


class Uncertainty(Protocol):
    """How sure an estimate is."""

    @property
    def test(self) -> str:
        """The name of the test, as in `leaderboard.json`."""

    @property
    def standard_error(self) -> float:
        """Of the estimate."""

    @property
    def p(self) -> float:
        """Two-sided, of an estimate of 0."""

    @property
    def detectable(self) -> float | None:
        """The smallest true value that a 5 % test finds with 80 % power; None where it finds none."""

    def interval(self, confidence: float) -> Interval:
        """The interval that holds the truth with this probability."""


@dataclass(frozen=True)
class RowsAndSeeds:
    """Over test rows and seeds: estimate +- sqrt(z^2 rows + sum of t^2 seeds); p is the level at which that ends at 0.

    Attributes:
        estimate: the mean.
        rows: its variance over test rows, without what the seeds' variance holds of it.
        seeds: its variance over each source of seeds, with degrees of freedom.
        test: its name.
    """

    estimate: float
    rows: float
    seeds: tuple[SeedVariance, ...]
    test: str

    @property
    def standard_error(self) -> float:
        """The root of all variances."""
        return float((self.rows + sum(source.variance for source in self.seeds)) ** 0.5)

    def half_width(self, level: float) -> float:
        """Half of the interval outside of which the truth lies with probability `level`."""
        from scipy.special import stdtrit

        z = normal_quantile(level / 2)
        seeds = sum(float(stdtrit(source.freedom, level / 2)) ** 2 * source.variance for source in self.seeds)
        return float((z**2 * self.rows + seeds) ** 0.5)

    def interval(self, confidence: float) -> Interval:
        """Around the estimate."""
        half = self.half_width(1 - confidence)
        return Interval(self.estimate - half, self.estimate + half)

    @cached_property
    def p(self) -> float:
        """Found by halving: the half-width falls as the level rises."""
        if self.standard_error == 0:
            return 1.0 if self.estimate == 0 else 2 / (SAMPLES + 1)
        from scipy.optimize import brentq

        def missing(log_level: float) -> float:
            return self.half_width(float(np.exp(log_level))) - abs(self.estimate)

        if missing(_LEAST_LOG_P) < 0:
            return float(np.exp(_LEAST_LOG_P))
        return 1.0 if missing(0.0) >= 0 else float(np.exp(brentq(missing, _LEAST_LOG_P, 0.0, xtol=1e-9)))

    @property
    def detectable(self) -> float | None:
        """(quantile of 97.5 % + quantile of 80 %) standard errors (Bloom 1995), source by source."""
        from scipy.special import stdtrit

        def both(freedom: float) -> float:
            return float(stdtrit(freedom, 0.975) + stdtrit(freedom, POWER))

        rows = (normal_quantile(0.975) + normal_quantile(POWER)) ** 2 * self.rows
        seeds = sum(both(source.freedom) ** 2 * source.variance for source in self.seeds)
        return float((rows + seeds) ** 0.5) or None


@dataclass(frozen=True)
class Resampled:
    """Over test rows alone, by paired bootstrap; `samples` are of the estimate, each on one resample of the rows."""

    estimate: float
    samples: Floats
    test: str = "bootstrap"

    @property
    def standard_error(self) -> float:
        """The samples' standard deviation."""
        return float(self.samples.std())

    def interval(self, confidence: float) -> Interval:
        """Percentiles of the samples, shifted so that their mean is the estimate."""
        return shifted_interval(self.samples, self.estimate, confidence)

    @cached_property
    def p(self) -> float:
        """From the same shifted samples."""
        return bootstrap_p(self.samples, self.estimate)

    @property
    def detectable(self) -> float | None:
        """2.8 standard errors."""
        return (normal_quantile(0.975) + normal_quantile(POWER)) * self.standard_error or None


@dataclass(frozen=True)
class PairedShares:
    """Two shares of right rows on the same rows: McNemar's score test and its inversion, Tango's interval.

    Attributes:
        n_rows: all rows.
        only_first: rows that the first alone has right.
        only_second: rows that the second alone has right.
    """

    n_rows: int
    only_first: int
    only_second: int
    test: str = "mcnemar"

    @property
    def standard_error(self) -> float:
        """Of the difference of the two shares."""
        discordant = (self.only_first + self.only_second) / self.n_rows
        difference = (self.only_first - self.only_second) / self.n_rows
        return float((max(discordant - difference**2, 0.0) / self.n_rows) ** 0.5)

    @property
    def _is_small(self) -> bool:
        return self.only_first + self.only_second < FEWEST_DISCORDANT

    def interval(self, confidence: float) -> Interval:
        """Tango's; where rows are too few for its test, widened to hold 0 unless the exact p denies it."""
        found = tango_interval(self.n_rows, self.only_first, self.only_second, confidence)
        if self._is_small and self.p >= 1 - confidence:
            return Interval(min(found.low, 0.0), max(found.high, 0.0))
        return found

    @property
    def p(self) -> float:
        """Of the score test; the exact one where discordant rows are few."""
        test = exact_mcnemar_p if self._is_small else score_mcnemar_p
        return test(self.only_first, self.only_second)

    @property
    def detectable(self) -> float | None:
        """By Connor's formula."""
        return detectable_accuracy_difference(self.n_rows, (self.only_first + self.only_second) / self.n_rows)


def within_range(found: Uncertainty, estimate: float, bounds: Bounds | None, n_rows: int) -> Interval:
    """The 95 % interval of a single set-up, never outside of the metric's range.

    A bounded metric gets it on the logit scale, one with a lower bound alone on the scale of logarithms, both by the
    delta method. At the very ends of a bounded range, where resamples show no spread, it is as if half a row more
    were otherwise, and reaches at least as far as the plain interval.

    Args:
        found: how sure the estimate is.
        estimate: the mean.
        bounds: of the metric; None where nobody says: the plain interval.
        n_rows: test rows.
    """
    from scipy.special import expit, logit

    plain = found.interval(0.95)
    half = (plain.high - plain.low) / 2
    if bounds is None:
        return plain
    low, high = bounds
    if not isfinite(low):
        return plain if high is None else Interval(plain.low, min(plain.high, high))
    if high is None:
        if estimate <= low:
            return Interval(low, max(plain.high, low))
        factor = exp(min(half / (estimate - low), _LARGEST_EXPONENT))
        return Interval(low + (estimate - low) / factor, low + (estimate - low) * factor)
    span = high - low
    share = min(max((estimate - low) / span, 0.0), 1.0)
    is_at_end = share in (0.0, 1.0)
    inner = (share * n_rows + 0.5) / (n_rows + 1) if is_at_end else share
    spread = 1.96 * (inner * (1 - inner) / n_rows) ** 0.5 if is_at_end else half / span
    width = spread / (inner * (1 - inner))
    ends = expit([logit(inner) - width, logit(inner) + width])
    # So near an end the logit has no slope to speak of, and would blow up what other runs of the board vary by.
    beside = half / span if is_at_end else 0.0
    lower, upper = max(min(ends[0], share - beside), 0.0), min(max(ends[1], share + beside), 1.0)
    return Interval(low + span * float(lower), low + span * float(upper))
