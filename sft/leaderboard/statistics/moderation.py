"""How far seeds move a result, borrowed in part from the other set-ups of the board.

Two or three seeds tell little of their own variance; the variances of a whole board tell what is usual there. Each is
drawn towards that, the more the more alike they are (Smyth 2004, doi 10.2202/1544-6115.1027, section 6.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isinf, log

import numpy as np

_NOISE = 1e-12
"""Of the usual variance: less is the rounding of floats."""

FEWEST_VARIANCES = 6
"""Fewer variances than this say too little of what is usual."""


@dataclass(frozen=True)
class SeedVariance:
    """A variance over seeds and how well it is known.

    Attributes:
        variance: of one run, or of the difference of one pair.
        freedom: degrees of freedom of that number.
    """

    variance: float
    freedom: float


@dataclass(frozen=True)
class Prior:
    """What is usual on a board: `variance` counts as much as one with `freedom` degrees of freedom would."""

    variance: float = 0.0
    freedom: float = 0.0

    def moderated(self, own: SeedVariance, least: float) -> SeedVariance:
        """A set-up's own variance, drawn towards what is usual.

        Args:
            own: its variance; of 0 degrees of freedom where it has one run.
            least: the variance is not taken to be less; see `least_variance`.
        """
        freedom = self.freedom + own.freedom
        if freedom == 0:
            return own
        weighted = self.freedom * self.variance + own.freedom * max(own.variance, least)
        return SeedVariance(max(weighted / freedom, least), freedom)


def least_variance(step: float) -> float:
    """The variance of rounding to multiples of a metric's step; what two equal numbers of few seeds may hide.

    Args:
        step: the least by which the metric changes with one row; 0 for a continuous one.
    """
    return step**2 / 12


def least_row_variance(step: float) -> float:
    """The variance over rows of a difference of which no row was seen: that which makes Tango's interval of a share.

    Args:
        step: the least by which the metric changes with one row; 0 for a continuous one.
    """
    return 3 * step**2


def prior_of(variances: Sequence[SeedVariance], least: float) -> Prior:
    """The prior of a board by the moments of the logarithms of its variances; none below six of them.

    Its degrees of freedom are at most half of those that the variances have together, as it is itself estimated.

    Args:
        variances: one per set-up, or per difference, each with at least one degree of freedom.
        least: variances up to this are left out: seeds that move nothing say nothing of those that do.
    """
    least = max(least, _NOISE * float(np.median([own.variance for own in variances] or [0.0])))
    moved = [own for own in variances if own.variance > least]
    if len(moved) < FEWEST_VARIANCES:
        return Prior()
    from scipy.special import digamma, polygamma

    known = np.array([own.variance for own in moved])
    freedoms = np.array([own.freedom for own in moved])
    halves = freedoms / 2
    logs = np.log(known) - digamma(halves) + np.log(halves)
    spread = float(logs.var(ddof=1) - polygamma(1, halves).mean())
    freedom = 2 * _trigamma_inverse(spread) if spread > 0 else inf
    centre = float(logs.mean())
    variance = exp(centre) if isinf(freedom) else exp(centre + float(digamma(freedom / 2)) - log(freedom / 2))
    return Prior(variance, min(freedom, float(freedoms.sum()) / 2))


def _trigamma_inverse(value: float) -> float:
    """The number whose trigamma is `value`, by Newton's steps on its reciprocal (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    found = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, found))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, found))
        found += step
        if -step / found < 1e-8:
            break
    return found
