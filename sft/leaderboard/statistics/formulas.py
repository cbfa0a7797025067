"""Intervals, paired comparisons and what the test rows can show: pure functions of arrays, the same at every call."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.rows import EvaluatedRows
from sft.leaderboard.records import Interval
from sft.leaderboard.statistics.row_metrics import RowMetric

Floats = NDArray[np.float64]

SAMPLES = 2000
CONFIDENCE = 0.95
POWER = 0.8
_SEED = 20_240
_CELLS = 1 << 22
"""At most so many numbers in one array of a chunk: 32 MiB."""


def resamples(n_rows: int, width: int, n_samples: int = SAMPLES) -> Iterator[Floats]:
    """Bootstrap samples of rows, chunk by chunk: (rows, samples) how often each row was drawn.

    Args:
        n_rows: rows of the data.
        width: the largest other first axis of an array that is made per chunk, for example the labels.
        n_samples: of all chunks together; which rows a sample has does not depend on the chunks.
    """
    rng = np.random.default_rng(_SEED)
    size = max(1, _CELLS // max(n_rows, width))
    for start in range(0, n_samples, size):
        count = min(size, n_samples - start)
        drawn = rng.integers(0, n_rows, (count, n_rows))
        places = drawn + np.arange(count)[:, None] * n_rows
        counts = np.bincount(places.ravel(), minlength=count * n_rows).reshape(count, n_rows)
        yield np.ascontiguousarray(counts.T, dtype=np.float64)


def bootstrap_values(
    runs: Sequence[EvaluatedRows], metric: RowMetric, n_labels: int, n_samples: int = SAMPLES
) -> Floats:
    """(runs, samples) the metric of every run on the very same bootstrap samples of the rows.

    Args:
        runs: outcomes of the same rows.
        metric: one of `row_metrics`.
        n_labels: size of the label set; 0 in generation.
        n_samples: bootstrap samples.
    """
    chunks = [
        np.stack([metric(run, weights, n_labels) for run in runs])
        for weights in resamples(len(runs[0]), n_labels, n_samples)
    ]
    return np.concatenate(chunks, axis=1)


def percentile_interval(samples: Floats) -> Interval:
    """The percentile interval (Efron & Tibshirani 1993, chapter 13)."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bootstrap_p(differences: Floats, observed: float) -> float:
    """Two-sided p of a difference of 0, from paired bootstrap differences: the level of the interval that ends at 0.

    Where no sample reaches 0, that is as far as the samples can tell; the difference is a mean over rows, and the
    normal tail with the samples' spread goes on from there.

    Args:
        differences: (samples,).
        observed: the difference on all rows.
    """
    from scipy.special import ndtr

    beyond = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(differences) + 1))
    spread = float(differences.std())
    if beyond or spread == 0:
        return p
    return min(p, float(2 * ndtr(-abs(observed) / spread)))


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test: rows that one alone has right fall to either side like coins.

    Args:
        only_first: rows that the first alone has right.
        only_second: rows that the second alone has right.
    """
    from scipy.special import bdtr

    discordant = only_first + only_second
    return min(1.0, float(2 * bdtr(min(only_first, only_second), discordant, 0.5))) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979, Scand. J. Statist. 6:65-70)."""
    count = len(p_values)
    order = sorted(range(count), key=lambda place: p_values[place])
    corrected = [1.0] * count
    largest = 0.0
    for step, place in enumerate(order):
        largest = max(largest, min(1.0, (count - step) * p_values[place]))
        corrected[place] = largest
    return corrected


def detectable_difference(standard_error: float, freedom: float = math.inf) -> float:
    """The smallest true difference that a two-sided 5 % test finds with 80 % power.

    (t_0.975 + t_0.80) x standard error of the difference (Bloom 1995, Evaluation Review 19:547-556).

    Args:
        standard_error: of the difference.
        freedom: degrees of freedom of that error; infinite for the normal approximation.
    """
    from scipy.special import stdtrit

    quantiles = stdtrit(freedom, 1 - (1 - CONFIDENCE) / 2) + stdtrit(freedom, POWER)
    return float(quantiles) * standard_error


def detectable_accuracy_difference(n_rows: int, discordant: float) -> float | None:
    """The same for two accuracies on the same rows; None where so few rows cannot show any difference.

    Solves Connor's formula n = (z_0.975 sqrt(p) + z_0.80 sqrt(p - d^2))^2 / d^2 for d (Connor 1987, Biometrics
    43:207-211).

    Args:
        n_rows: test rows.
        discordant: p, the share of rows that one of the two alone has right; d cannot be more.
    """
    from scipy.optimize import brentq

    alpha, beta = _z(1 - (1 - CONFIDENCE) / 2), _z(POWER)

    def missing(difference: float) -> float:
        spread = np.sqrt(max(discordant - difference**2, 0.0))
        return float(alpha * np.sqrt(discordant) + beta * spread - difference * np.sqrt(n_rows))

    if discordant <= 0 or missing(discordant) > 0:
        return None
    return float(brentq(missing, 0.0, discordant))


def _z(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))
