"""Statistics of a board's set-ups: intervals, each one beside the best, and what its test rows can show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.gathering import seed_of_all
from sft.leaderboard.groups import Group
from sft.leaderboard.records import Interval, Needed, SeedKey
from sft.leaderboard.statistics.comparer import Comparer, Finding, Scale
from sft.leaderboard.statistics.formulas import CONFIDENCE, SAMPLES
from sft.leaderboard.statistics.run_samples import RunSamples, outcomes_of
from sft.leaderboard.statistics.seed_clusters import ALONE, BOTH_SEEDED, Difference


@dataclass(frozen=True)
class BoardStatistics:
    """What holds for all numbers of a board.

    Attributes:
        metric: the ranking metric on test rows, of which intervals and comparisons are.
        n_rows: test rows.
        n_groups: set-ups whose rows could be read.
        n_comparisons: size of the family for which the comparisons with the best are corrected.
        chosen_on: `dev` or `test`: the rows by which the best set-up was chosen.
        margin: differences within it count as none; None where the metric has no range and none was given.
        needed: test rows and seeds that tell the margin apart, the median of the comparisons with the best; None
            without a margin or a comparison.
        detectable: the smallest difference between two set-ups that the test rows show with 80 % power, the median of
            the comparisons; None where no two were compared, or where they are too few to show any.
        samples: bootstrap samples.
        confidence: of the intervals.
    """

    metric: str
    n_rows: int
    n_groups: int
    n_comparisons: int
    chosen_on: str
    margin: float | None
    needed: Needed | None
    detectable: float | None
    samples: int = SAMPLES
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class BoardRuns:
    """What is known of the runs of a board, and how its set-ups are compared.

    Attributes:
        samples: of its runs by the ranking metric on test rows.
        comparer: of its set-ups.
    """

    samples: RunSamples
    comparer: Comparer

    @classmethod
    def of(cls, groups: Sequence[Group], samples: RunSamples, scale: Scale) -> "BoardRuns":
        """What is usual of seeds on this board is taken from its set-ups and their differences to the best.

        Args:
            groups: of one board, best first.
            samples: of their runs.
            scale: of the metric.
        """
        plain = cls(samples, Comparer(scale, samples.n_rows))
        readable = [group for group in groups if samples.has_all(run.id for run in group.runs)]
        alone = [plain.alone(group) for group in readable]
        beside = [pairs for group in readable[1:] if (pairs := plain.pairs(group, readable[0])) is not None]
        moved = [pairs for pairs in beside if pairs[0].kind == BOTH_SEEDED]
        return cls(samples, plain.comparer.with_priors([*alone, *moved]))

    def finding(self, first: Group, second: Group) -> Finding | None:
        """The first less the second: over the seeds that both have, else each over its own; None without rows."""
        if not self.samples.has_all(run.id for group in (first, second) for run in group.runs):
            return None
        pairs = self.pairs(first, second)
        several = max(len(first.runs), len(second.runs)) > 1
        if pairs is None or (len(pairs) == 1 and pairs[0].seeds is not None and several):
            apart = self.comparer.apart(self.alone(first), self.alone(second))
            if apart is not None:
                return apart
        if pairs is None:
            pairs = [self.pair(first.runs[0], second.runs[0], first.runs[0].seeds)]
        return self.comparer.mean(pairs)

    def pairs(self, first: Group, second: Group) -> list[Difference] | None:
        """Seed by seed where both have the same, one that no seed moves beside every seed of the other.

        None where both are moved by seeds and share none.
        """
        if first.no_seed_effect and second.no_seed_effect:
            return [self.pair(first.runs[0], second.runs[0], None)]
        own, other = first.seeds_by_run(), second.seeds_by_run()
        if first.no_seed_effect:
            own = dict.fromkeys(other, first.runs[0])
        elif second.no_seed_effect:
            other = dict.fromkeys(own, second.runs[0])
        kind = ALONE if first.no_seed_effect or second.no_seed_effect else BOTH_SEEDED
        found: dict[tuple[str, str], list[SeedKey]] = {}
        runs = {run.id: run for group in (first, second) for run in group.runs}
        for seeds in own.keys() & other.keys():
            found.setdefault((own[seeds].id, other[seeds].id), []).append(seeds)
        pairs = [
            self.pair(runs[one], runs[two], seed_of_all(keys), kind) for (one, two), keys in sorted(found.items())
        ]
        return pairs or None

    def pair(
        self, own: ExperimentRecord, other: ExperimentRecord, seeds: SeedKey | None, kind: str = BOTH_SEEDED
    ) -> Difference:
        """One run less another, sample by sample, as each sample has the same rows for both."""
        known = self.samples
        observed = [float(run.part("results")[known.metric]) for run in (own, other)]
        outcomes = outcomes_of(known.sums[own.id].sums, known.sums[other.id].sums)
        samples = known.values[own.id] - known.values[other.id]
        return Difference(seeds, observed[0] - observed[1], samples, outcomes, kind)

    def alone(self, group: Group) -> list[Difference]:
        """The runs of a set-up, each beside nothing."""
        known, seeds = self.samples, dict[str, list[SeedKey]]()
        for row in group.rows:
            seeds.setdefault(row.id, []).append(row.seeds)
        return [
            Difference(
                None if group.no_seed_effect else seed_of_all(seeds[run.id]),
                float(run.part("results")[known.metric]),
                known.values[run.id],
                kind=ALONE,
            )
            for run in group.runs
        ]

    def interval(self, group: Group) -> tuple[Interval, str] | None:
        """The 95 % interval of a set-up's mean and what it covers; None without rows."""
        if not self.samples.has_all(run.id for run in group.runs):
            return None
        return self.comparer.interval(self.alone(group))


@dataclass(frozen=True)
class ComparedGroups:
    """The set-ups of a board with their statistics; None where no set-up's rows could be read."""

    groups: tuple[Group, ...]
    statistics: BoardStatistics | None


def compared(groups: Sequence[Group], runs: BoardRuns, *, chosen_on_dev: bool = False) -> ComparedGroups:
    """The set-ups with intervals, and each ranked one beside the best, on test rows.

    Where the best was chosen on the rows that are reported, any two might have been compared, and the family is of all
    pairs; where dev rows chose it, of the comparisons with it.

    Args:
        groups: of one board, best first.
        runs: of the board.
        chosen_on_dev: whether they are ranked by dev rows.
    """
    intervals = [runs.interval(group) for group in groups]
    found = [
        group if known is None else replace(group, interval=known[0], interval_covers=known[1])
        for group, known in zip(groups, intervals, strict=True)
    ]
    readable = [group for group in found if group.interval is not None]
    if not readable:
        return ComparedGroups(tuple(groups), None)
    ranked = [place for place, group in enumerate(found) if group.rank is not None and group.interval is not None]
    others = ranked[1:] if ranked and ranked[0] == 0 else []
    n_comparisons = len(others) if chosen_on_dev else comb(len(ranked), 2)
    findings = [runs.finding(found[place], found[0]) for place in others]
    comparisons = runs.comparer.family(findings, n_comparisons)
    for place, comparison in zip(others, comparisons, strict=True):
        found[place] = replace(found[place], against_best=comparison)
    known = [comparison for comparison in comparisons if comparison is not None]
    detectable = [comparison.detectable for comparison in known if comparison.detectable is not None]
    needed = [comparison.needed for comparison in known if comparison.needed is not None]
    statistics = BoardStatistics(
        metric=runs.samples.metric,
        n_rows=runs.samples.n_rows,
        n_groups=len(readable),
        n_comparisons=n_comparisons,
        chosen_on="dev" if chosen_on_dev else "test",
        margin=runs.comparer.scale.margin,
        needed=_median(needed),
        detectable=float(np.median(detectable)) if detectable else None,
    )
    return ComparedGroups(tuple(found), statistics)


def _median(needed: Sequence[Needed]) -> Needed | None:
    """The upper median, by seeds and then by rows."""
    if not needed:
        return None
    ordered = sorted(needed, key=lambda one: (one.seeds, one.rows))
    return ordered[len(ordered) // 2]
