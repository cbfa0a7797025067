"""Differences of runs by the seed that they share: those of one seed stand or fall together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from sft.leaderboard.records import SeedKey
from sft.leaderboard.statistics.formulas import Floats
from sft.leaderboard.statistics.moderation import SeedVariance

Outcomes = NDArray[np.bool_]

ALONE, BOTH_SEEDED, GAIN, CONTEXTS = "alone", "both seeded", "gain", "contexts"
"""Kinds of variances over seeds, what is usual being told for each apart: of a set-up, which is also that of its
difference to one that no seed moves; of a difference where seeds move both sides; of what a calibrator changes in the
same run; and of a mean of differences over several models, numbers of shots and so on, by how many these are."""


@dataclass(frozen=True)
class Difference:
    """One pair of runs, or one run beside nothing.

    Attributes:
        seeds: in force in it; None where no seed changes either, so that the pair is the same at every seed.
        observed: on all test rows.
        samples: (samples,) on bootstrap samples of them.
        outcomes: (rows,) which rows each of the two has right, where the metric is the share of these.
        kind: of its variance over seeds.
    """

    seeds: SeedKey | None
    observed: float
    samples: Floats
    outcomes: tuple[Outcomes, Outcomes] | None = None
    kind: str = BOTH_SEEDED


def kind_of(pairs: Sequence[Difference]) -> str:
    """Of a mean of differences: that of its pairs, unless one seed has several of them."""
    seeded = [pair.seeds for pair in pairs if pair.seeds is not None]
    n_seeds = len(set(seeded))
    return f"{CONTEXTS} {len(pairs) // max(n_seeds, 1)}" if n_seeds < len(pairs) > 1 else pairs[0].kind


def _mean_samples(pairs: Sequence[Difference]) -> Floats:
    """(samples,) of the mean of differences; summed in place, which for a few is twice as fast as of an array."""
    if len(pairs) == 1:
        return pairs[0].samples
    total = pairs[0].samples + pairs[1].samples
    for pair in pairs[2:]:
        total += pair.samples
    total /= len(pairs)
    return total


@dataclass(frozen=True)
class SeedClusters:
    """Differences by seed: their number and sums; those without a seed count in the mean alone.

    Attributes:
        numbers: (seeds,) pairs of each.
        sums: (seeds,) of their differences.
        keys: the seeds.
        mean: of all pairs.
        pairs: all.
        pairs_of: those of each seed.
    """

    numbers: Floats
    sums: Floats
    keys: tuple[SeedKey, ...]
    mean: float
    pairs: Sequence[Difference]
    pairs_of: Sequence[Sequence[Difference]]

    @classmethod
    def of(cls, pairs: Sequence[Difference]) -> "SeedClusters":
        """The clusters of at least one difference."""
        by_seed: dict[SeedKey, list[Difference]] = {}
        for pair in pairs:
            if pair.seeds is not None:
                by_seed.setdefault(pair.seeds, []).append(pair)
        return cls(
            np.array([len(own) for own in by_seed.values()], dtype=np.float64),
            np.array([sum(pair.observed for pair in own) for own in by_seed.values()]),
            tuple(by_seed),
            fmean(pair.observed for pair in pairs),
            pairs,
            list(by_seed.values()),
        )

    @property
    def n_pairs(self) -> int:
        """All pairs."""
        return len(self.pairs)

    @cached_property
    def samples_of(self) -> Floats:
        """(seeds, samples) mean of the samples of each seed's pairs."""
        return np.array([_mean_samples(own) for own in self.pairs_of])

    @cached_property
    def samples(self) -> Floats:
        """(samples,) of the mean of all pairs."""
        if self.numbers.sum() < self.n_pairs:
            return _mean_samples(self.pairs)
        means: Floats = self.numbers @ self.samples_of / self.n_pairs
        return means

    @property
    def n_seeds(self) -> int:
        """Seeds; 0 where no seed changes anything."""
        return len(self.keys)

    def sources(self) -> list[tuple[int, ...]]:
        """The sources of chance that vary, each as the number of its level at every seed.

        Sources that move together are one. Several that are crossed each count with all that they cover, so that the
        variance is rather too large than too small.
        """
        keys = self.keys
        columns = list(zip(*keys, strict=True)) if len({len(key) for key in keys}) == 1 else [tuple(keys)]
        found: dict[tuple[int, ...], None] = {}
        for column in columns:
            places = {value: place for place, value in enumerate(dict.fromkeys(column))}
            if len(places) > 1:
                found[tuple(places[value] for value in column)] = None
        return list(found)

    def variance_of_one(self, levels: Sequence[int]) -> SeedVariance:
        """The variance over one source of seeds of a single run or pair.

        Between the seeds' sums, linearised as a ratio's where seeds have unequally many pairs (Cochran 1977, Sampling
        Techniques, section 6.3), times the pairs of each seed.
        """
        numbers, sums = np.zeros(max(levels) + 1), np.zeros(max(levels) + 1)
        for level, number, total in zip(levels, self.numbers, self.sums, strict=True):
            numbers[level] += number
            sums[level] += total
        residuals = sums - numbers * sums.sum() / numbers.sum()
        count = len(numbers)
        of_mean = float(count / (count - 1) * (residuals**2).sum() / self.n_pairs**2)
        return SeedVariance(of_mean * self.runs_per_mean(levels), count - 1)

    def runs_per_mean(self, levels: Sequence[int]) -> float:
        """By how much the variance of the mean is less than that of a single run or pair: seeds times contexts."""
        return max(self.n_pairs, max(levels) + 1)

    @property
    def rows_in_seeds(self) -> float:
        """The part of the variance over rows that the one over seeds holds too: rows that seeds move apart.

        Of seeds with shares w of the pairs, the mean row variance of single seeds exceeds that of their mean by
        (1 - sum w^2) of it, and it is sum w^2 of it that the mean keeps.
        """
        if self.n_seeds < 2:
            return 0.0
        shares = self.numbers / self.numbers.sum()
        single, together = self.samples_of.var(axis=1), float((shares @ self.samples_of).var())
        squares = float((shares**2).sum())
        apart = max(0.0, float(shares @ single) - together)
        return float((self.numbers.sum() / self.n_pairs) ** 2 * squares * apart / (1 - squares))
