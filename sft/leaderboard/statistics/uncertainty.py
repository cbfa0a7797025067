"""How sure a mean over runs or pairs of runs is: over the test rows and, where there are several, over seeds.

The pairs of one seed (all contexts: models, shots, ...) stand or fall together, because they share its shots. What
the pairs differ in otherwise is what a researcher chose, no sample of anything: it is held fixed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from sft.leaderboard.records import ROWS, ROWS_AND_SEEDS, Certainty, Interval, SeedKey
from sft.leaderboard.statistics.formulas import CONFIDENCE, SAMPLES, Floats, bootstrap_p, holm, percentile_interval


@dataclass(frozen=True)
class Difference:
    """One pair, or one run beside nothing.

    Attributes:
        seeds: in force in it; None where no seed changes either, so that the pair stands beside every seed.
        observed: on all test rows.
        samples: (samples,) on bootstrap samples of them; None where they are not known.
    """

    seeds: SeedKey | None
    observed: float
    samples: Floats | None = None


@dataclass(frozen=True)
class Estimate:
    """A mean over pairs; `certainty` is None where the samples of a pair are not known."""

    difference: float
    certainty: Certainty | None
    n_pairs: int
    n_seeds: int


@dataclass(frozen=True)
class _Cluster:
    """The pairs of one seed: their number and the sums of their differences."""

    n: int
    observed: float
    samples: Floats | None


def estimate(pairs: Sequence[Difference]) -> Estimate:
    """The mean of at least one difference, and how sure it is.

    With one seed: the percentile interval and the p of the paired bootstrap over rows. With several: Student's t with
    the variance over rows (bootstrap) plus that over seeds (between the seeds' sums, linearised as a ratio's where
    seeds have unequally many pairs: Cochran 1977, Sampling Techniques, section 6.3), less what both hold, and
    Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2:110-114). A percentile interval would have to
    find the spread over seeds in resamples of three: where seeds are most of the chance it holds the truth in 87 % of
    cases with three seeds and in 77 % with two; this one in 93 % and 89 %.
    """
    clusters = _clusters(pairs)
    seeded = [seeds for seeds in clusters if seeds is not None]
    difference = sum(cluster.observed for cluster in clusters.values()) / len(pairs)
    n_seeds = max(1, len(seeded))
    samples = _mean_samples(clusters.values(), len(pairs))
    if samples is None:
        return Estimate(difference, None, len(pairs), n_seeds)
    if n_seeds == 1:
        p = bootstrap_p(samples, difference)
        certainty = Certainty(percentile_interval(samples), p, ROWS, float(samples.std()))
        return Estimate(difference, certainty, len(pairs), 1)
    certainty = _over_seeds(difference, samples, {seeds: clusters[seeds] for seeds in seeded}, len(pairs))
    return Estimate(difference, certainty, len(pairs), n_seeds)


def holm_corrected(found: Sequence[Certainty | None]) -> list[float | None]:
    """The p-values of a family, corrected for their number; None where there is none."""
    corrected = iter(holm([certainty.p for certainty in found if certainty is not None]))
    return [None if certainty is None else next(corrected) for certainty in found]


def _clusters(pairs: Iterable[Difference]) -> dict[SeedKey | None, _Cluster]:
    found: dict[SeedKey | None, _Cluster] = {}
    for pair in pairs:
        known = found.get(pair.seeds, _Cluster(0, 0.0, None))
        samples = pair.samples
        if known.n:
            samples = None if samples is None or known.samples is None else known.samples + samples
        found[pair.seeds] = _Cluster(known.n + 1, known.observed + pair.observed, samples)
    return found


def _mean_samples(clusters: Iterable[_Cluster], n_pairs: int) -> Floats | None:
    total: Floats | None = None
    for cluster in clusters:
        if cluster.samples is None:
            return None
        total = cluster.samples if total is None else total + cluster.samples
    return None if total is None else total / n_pairs


def _over_seeds(difference: float, samples: Floats, clusters: dict[SeedKey, _Cluster], n_pairs: int) -> Certainty:
    sources = [_source_variance(clusters, levels, n_pairs) for levels in _sources(list(clusters))]
    rows, seeds = float(samples.var()), sum(source.variance for source in sources)
    variance = max(rows, seeds, rows + seeds - _in_both(clusters, n_pairs))
    uncertain = sum(source.variance**2 / source.freedom for source in sources)
    return t_certainty(difference, variance, variance**2 / uncertain if uncertain else inf)


def t_certainty(difference: float, variance: float, freedom: float) -> Certainty:
    """Student's t interval and p of a mean over rows and seeds.

    Args:
        difference: the mean.
        variance: of it.
        freedom: degrees of freedom of the variance.
    """
    from scipy.special import stdtr, stdtrit

    if variance == 0:
        p = 1.0 if difference == 0 else 2 / (SAMPLES + 1)
        return Certainty(Interval(difference, difference), p, ROWS_AND_SEEDS, 0.0)
    error = variance**0.5
    half = float(stdtrit(freedom, 1 - (1 - CONFIDENCE) / 2)) * error
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    return Certainty(Interval(difference - half, difference + half), p, ROWS_AND_SEEDS, error, freedom)


def welch_freedom(variances: Sequence[float], sides: Sequence[Certainty]) -> float:
    """Degrees of freedom of a sum of independent variances (Welch 1947, Biometrika 34:28-35)."""
    uncertain = sum(own**2 / side.freedom for own, side in zip(variances, sides, strict=True))
    return sum(variances) ** 2 / uncertain if uncertain else inf


@dataclass(frozen=True)
class _Source:
    """What one source of chance adds to the variance of the mean, and the degrees of freedom of that number."""

    variance: float
    freedom: int


def _source_variance(clusters: dict[SeedKey, _Cluster], levels: Sequence[int], n_pairs: int) -> _Source:
    numbers, sums = np.zeros(max(levels) + 1), np.zeros(max(levels) + 1)
    for level, cluster in zip(levels, clusters.values(), strict=True):
        numbers[level] += cluster.n
        sums[level] += cluster.observed
    residuals = sums - numbers * sums.sum() / numbers.sum()
    count = len(numbers)
    return _Source(float(count / (count - 1) * (residuals**2).sum() / n_pairs**2), count - 1)


def _sources(keys: Sequence[SeedKey]) -> list[tuple[int, ...]]:
    """The sources of chance that vary, each as the number of its level at every seed in force.

    Sources that move together are one. Several that are crossed each count with all that they cover, so that the
    variance is rather too large than too small.
    """
    columns = list(zip(*keys, strict=True)) if len({len(key) for key in keys}) == 1 else [tuple(keys)]
    found: dict[tuple[int, ...], None] = {}
    for column in columns:
        places = {value: place for place, value in enumerate(dict.fromkeys(column))}
        if len(places) > 1:
            found[tuple(places[value] for value in column)] = None
    return list(found)


def _in_both(clusters: dict[SeedKey, _Cluster], n_pairs: int) -> float:
    """The part of the variance that both the one over rows and the one over seeds hold: rows that seeds move apart.

    Of seeds with shares w of the pairs, the mean row variance of single seeds exceeds that of their mean by
    (1 - sum w^2) of it, and it is sum w^2 of it that the mean keeps.
    """
    known = [(cluster.n, cluster.samples) for cluster in clusters.values() if cluster.samples is not None]
    numbers = np.array([n for n, _ in known], dtype=np.float64)
    shares = numbers / numbers.sum()
    single = np.array([float((samples / n).var()) for n, samples in known])
    together = float((np.stack([samples for _, samples in known]).sum(axis=0) / numbers.sum()).var())
    squares = float((shares**2).sum())
    apart = max(0.0, float(shares @ single) - together)
    return float((numbers.sum() / n_pairs) ** 2 * squares * apart / (1 - squares))
