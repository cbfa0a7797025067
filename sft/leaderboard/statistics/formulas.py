"""Intervals, paired comparisons and what the test rows can show: pure functions of arrays, the same at every call."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.row_sums import RowSums
from sft.leaderboard.records import Interval

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


def bootstrap_values(runs: Sequence[RowSums], n_samples: int = SAMPLES) -> Floats:
    """(runs, samples) a result of every run on the very same bootstrap samples of the rows.

    Args:
        runs: how the same rows make it in each.
        n_samples: bootstrap samples.
    """
    n_rows, width = runs[0].n_rows, max(run.numbers.shape[1] for run in runs)
    chunks = [np.stack([run.values(weights) for run in runs]) for weights in resamples(n_rows, width, n_samples)]
    return np.concatenate(chunks, axis=1)


def linear_values(runs: Sequence[RowSums], n_samples: int = SAMPLES, *, widened: bool = False) -> Floats:
    """As `bootstrap_values` to the first order: each row moves a result by its influence, as often as it is drawn.

    One product for all runs. Exact for means; of other results the variance is within 10 % of the bootstrap's once
    there are some hundred rows.

    Args:
        runs: how the same rows make it in each.
        n_samples: bootstrap samples.
        widened: as in `widening`.
    """
    n_rows, whole = runs[0].n_rows, np.array([[run.whole] for run in runs])
    influences = np.stack([run.influence() for run in runs]) / n_rows
    influences -= influences.mean(axis=1, keepdims=True)
    if widened:
        influences *= widening(runs, (influences**2).sum(axis=1))[:, None]
    values: Floats = np.empty((len(runs), n_samples))
    start = 0
    for weights in resamples(n_rows, 1, n_samples):
        np.matmul(influences, weights, out=values[:, start : start + weights.shape[1]])
        start += weights.shape[1]
    values += whole
    return values


def widening(runs: Sequence[RowSums], variances: Floats) -> Floats:
    """(runs,) by how much samples are widened about their mean, at least 1.

    A macro average over labels with few rows each spreads more over data sets than over resamples of one, which often
    lack such a label or repeat its one row; leaving out one row at a time (the jackknife) errs to the other side. The
    variance becomes the mean of both.

    Args:
        runs: how rows make the result.
        variances: (runs,) over resamples.
    """
    wanted = (variances + jackknife_variances(runs)) / 2
    factors = np.sqrt(np.divide(wanted, variances, out=np.ones_like(variances), where=variances > 0))
    found: Floats = np.maximum(factors, 1.0)
    return found


def jackknife_variances(runs: Sequence[RowSums]) -> Floats:
    """(runs,) variances of results over data sets, from the values without each row in turn (Efron 1982, chapter 3).

    Of a single row there is nothing to leave out, and the variance is 0.

    Args:
        runs: how rows make each; neighbours with the same function are worked out together.
    """
    sums = np.zeros((2, len(runs)))
    several = ((place, run) for place, run in enumerate(runs) if run.n_rows > 1)
    for value, own in groupby(several, key=lambda one: one[1].value):
        for batch in _batches(own):
            values = value(np.concatenate([columns for _, columns, _ in batch], axis=1))
            ends = np.cumsum([len(counts) for _, _, counts in batch])
            for (place, _, counts), found in zip(batch, np.split(values, ends[:-1]), strict=True):
                moved = found - runs[place].whole
                sums[:, place] += counts @ moved, counts @ moved**2
    n_rows = np.array([run.n_rows for run in runs])
    variances: Floats = (n_rows - 1) * (sums[1] / n_rows - (sums[0] / n_rows) ** 2)
    return variances


_Batch = list[tuple[int, Floats, Floats]]


def _batches(runs: Iterable[tuple[int, RowSums]]) -> Iterator[_Batch]:
    """Of at most `_CELLS` numbers: place of the run, (numbers, kinds) its sums without a row, (kinds,) such rows."""
    batch: _Batch = []
    n_kinds = 0
    for place, run in runs:
        total = run.numbers.total()[:, None]
        size = max(1, _CELLS // len(total))
        for kinds, counts in run.numbers.kinds(size):
            n_kinds += len(counts)
            if batch and n_kinds > size:
                yield batch
                batch, n_kinds = [], len(counts)
            batch.append((place, total - kinds.T, counts))
    if batch:
        yield batch


def shifted_interval(samples: Floats, estimate: float, confidence: float = CONFIDENCE) -> Interval:
    """The percentile interval of samples whose mean was moved to the estimate.

    Resamples hold fewer distinct rows than the data, which bends metrics that are no means (macro-F1 by two points
    with 77 labels); the shift takes that off.

    Args:
        samples: bootstrap samples.
        estimate: on all rows.
        confidence: how often the interval holds the truth.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(samples, [tail, 1 - tail]) + (estimate - samples.mean())
    return Interval(float(low), float(high))


def bootstrap_p(differences: Floats, observed: float) -> float:
    """Two-sided p of a difference of 0, from paired bootstrap differences: the level of the interval that ends at 0.

    The samples are shifted as in `shifted_interval`. Where none reaches 0, that is as far as the samples can tell; the
    difference is a mean over rows, and the normal tail with the samples' spread goes on from there.

    Args:
        differences: (samples,).
        observed: the difference on all rows.
    """
    from scipy.special import ndtr

    shifted = differences + (observed - differences.mean())
    beyond = min(int((shifted <= 0).sum()), int((shifted >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(shifted) + 1))
    spread = float(shifted.std())
    if beyond or spread == 0:
        return p
    return min(p, float(2 * ndtr(-abs(observed) / spread)))


def exact_mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test: rows that one alone has right fall to either side like coins.

    Args:
        only_first: rows that the first alone has right.
        only_second: rows that the second alone has right.
    """
    from scipy.special import bdtr

    discordant = only_first + only_second
    return min(1.0, float(2 * bdtr(min(only_first, only_second), discordant, 0.5))) if discordant else 1.0


def score_mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's score test without correction (McNemar 1947, Psychometrika 12:153-157)."""
    from scipy.special import ndtr

    discordant = only_first + only_second
    return float(2 * ndtr(-abs(only_first - only_second) / discordant**0.5)) if discordant else 1.0


def tango_interval(n_rows: int, only_first: int, only_second: int, confidence: float = CONFIDENCE) -> Interval:
    """Interval of the difference of two shares on the same rows (Tango 1998, Statistics in Medicine 17:891-908).

    It holds the differences that the score test does not reject; at 0 that test is McNemar's.

    Args:
        n_rows: all rows.
        only_first: rows that the first alone has right.
        only_second: rows that the second alone has right.
        confidence: how often the interval holds the truth.
    """
    from scipy.optimize import brentq

    n, b, c = float(n_rows), float(only_first), float(only_second)
    z = normal_quantile(1 - (1 - confidence) / 2)

    def score(difference: float) -> float:
        linear = -b - c + (2 * n - b + c) * difference
        root = max(linear**2 + 8 * n * c * difference * (1 - difference), 0.0) ** 0.5
        share = (root - linear) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        distance = b - c - n * difference
        return float(distance / max(variance, 1e-12) ** 0.5)

    edge = 1 - 1e-9
    low = -1.0 if score(-edge) <= z else float(brentq(lambda value: score(value) - z, -edge, edge))
    high = 1.0 if score(edge) >= -z else float(brentq(lambda value: score(value) + z, -edge, edge))
    return Interval(low, high)


def holm(p_values: Sequence[float], count: int | None = None) -> list[float]:
    """The p-values corrected for their number (Holm 1979, Scand. J. Statist. 6:65-70).

    Args:
        p_values: of the comparisons that are reported.
        count: comparisons of the whole family, where only some of it are reported; at the first false rejection all
            earlier ones were right, so that the step-down holds for such a part as well.
    """
    count = len(p_values) if count is None else count
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected = [1.0] * len(p_values)
    largest = 0.0
    for step, place in enumerate(order):
        largest = max(largest, min(1.0, (count - step) * p_values[place]))
        corrected[place] = largest
    return corrected


def detectable_accuracy_difference(n_rows: int, discordant: float) -> float | None:
    """The same for two accuracies on the same rows; None where so few rows cannot show any difference.

    Solves Connor's formula n = (z_0.975 sqrt(p) + z_0.80 sqrt(p - d^2))^2 / d^2 for d (Connor 1987, Biometrics
    43:207-211).

    Args:
        n_rows: test rows.
        discordant: p, the share of rows that one of the two alone has right; d cannot be more.
    """
    from scipy.optimize import brentq

    alpha, beta = normal_quantile(1 - (1 - CONFIDENCE) / 2), normal_quantile(POWER)

    def missing(difference: float) -> float:
        spread = np.sqrt(max(discordant - difference**2, 0.0))
        return float(alpha * np.sqrt(discordant) + beta * spread - difference * np.sqrt(n_rows))

    if discordant <= 0 or missing(discordant) > 0:
        return None
    return float(brentq(missing, 0.0, discordant))


def normal_quantile(share: float) -> float:
    """The number below which a standard normal one falls with this probability."""
    from scipy.special import ndtri

    return float(ndtri(share))
