"""Statistics of a board's groups: intervals, comparisons with the best, and what its test rows can show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.groups import Group, seeds_of, summary
from sft.leaderboard.records import Certainty, Comparison, Interval
from sft.leaderboard.statistics.formulas import (
    CONFIDENCE,
    SAMPLES,
    detectable_accuracy_difference,
    detectable_difference,
    holm,
    mcnemar_p,
)
from sft.leaderboard.statistics.row_metrics import SHARES
from sft.leaderboard.statistics.run_samples import RunSamples
from sft.leaderboard.statistics.uncertainty import Difference, estimate, t_certainty, welch_freedom

MOST_GROUPS = 50
"""So many groups, the best ones, get statistics unless all are asked for."""


@dataclass(frozen=True)
class BoardStatistics:
    """What holds for all numbers of a board.

    Attributes:
        metric: the ranking metric on test rows, of which intervals and comparisons are.
        n_rows: test rows.
        n_groups: groups whose rows could be read.
        detectable: the smallest difference between two groups that the test rows show with 80 % power; None where no
            two were compared, or where they are too few to show any.
        samples: bootstrap samples.
        confidence: of the intervals.
    """

    metric: str
    n_rows: int
    n_groups: int
    detectable: float | None
    samples: int = SAMPLES
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class ComparedGroups:
    """The groups of a board with their statistics; None where no group's rows could be read."""

    groups: tuple[Group, ...]
    statistics: BoardStatistics | None


@dataclass(frozen=True)
class _Pair:
    """A group and the best one."""

    comparison: Comparison
    detectable: float | None


def compared(groups: Sequence[Group], samples: RunSamples, *, full: bool = False) -> ComparedGroups:
    """The groups with intervals, and each ranked one beside the best, on test rows.

    Args:
        groups: of one board, best first.
        samples: of the runs of the groups that get statistics, by the ranking metric.
        full: all groups; else the `MOST_GROUPS` best.
    """
    chosen = with_statistics_of(groups, full=full)
    readable = [place for place, group in enumerate(chosen) if samples.has_all(run.id for run in group.runs)]
    if not readable:
        return ComparedGroups(tuple(groups), None)
    found = list(groups)
    for place in readable:
        found[place] = replace(found[place], interval=group_interval(found[place], samples))
    ranked = [place for place in readable if found[place].rank is not None]
    pairs = _pairs(ranked, found, samples)
    corrected = holm([pair.comparison.p for pair in pairs.values()])
    for place, pair, p_holm in zip(pairs, pairs.values(), corrected, strict=True):
        found[place] = replace(found[place], against_best=replace(pair.comparison, p_holm=p_holm))
    known = [pair.detectable for pair in pairs.values() if pair.detectable is not None]
    detectable = float(np.median(known)) if known else None
    return ComparedGroups(tuple(found), BoardStatistics(samples.metric, samples.n_rows, len(readable), detectable))


def with_statistics_of(groups: Sequence[Group], *, full: bool) -> Sequence[Group]:
    """The groups that get statistics."""
    return groups if full else groups[:MOST_GROUPS]


def group_interval(group: Group, samples: RunSamples) -> Interval:
    """Of the mean of a group all of whose runs are known."""
    return _certainty([_alone(run, samples) for run in group.runs]).interval


def _pairs(places: Sequence[int], groups: Sequence[Group], samples: RunSamples) -> dict[int, _Pair]:
    """Place -> the group there beside the best, the first; none where the best one's rows cannot be read."""
    if not places or places[0] != 0:
        return {}
    best = groups[0]
    return {place: _pair(groups[place], best, samples) for place in places[1:]}


def _pair(group: Group, best: Group, known: RunSamples) -> _Pair:
    means = [summary(side.runs, known.metric) for side in (group, best)]
    difference = (means[0].mean if means[0] else 0.0) - (means[1].mean if means[1] else 0.0)
    pairs = _pairs_of_runs(group, best)
    if pairs is None:
        return _unpaired(difference, group, best, known)
    found = _certainty([_difference(own, other, known) for own, other in pairs])
    if len(pairs) > 1 or known.metric not in SHARES:
        test = "bootstrap" if len(pairs) == 1 else "t"
        detectable = detectable_difference(found.standard_error, found.freedom) or None
        return _Pair(Comparison(difference, found.interval, found.p, found.p, test), detectable)
    own, other = (known.rows[run.id].correct for run in pairs[0])
    alone, other_alone = int((own & ~other).sum()), int((other & ~own).sum())
    p = mcnemar_p(alone, other_alone)
    detectable = detectable_accuracy_difference(len(own), (alone + other_alone) / len(own))
    return _Pair(Comparison(difference, found.interval, p, p, "mcnemar"), detectable)


def _pairs_of_runs(group: Group, best: Group) -> list[tuple[ExperimentRecord, ExperimentRecord]] | None:
    """Seed by seed where both have the same, one run beside every seed of the other; None where seeds differ."""
    own, other = group.seeds_by_run(), best.seeds_by_run()
    if own.keys() == other.keys():
        return [(own[seeds], other[seeds]) for seeds in own]
    if len(own) == 1:
        return [(group.runs[0], run) for run in best.runs]
    return [(run, best.runs[0]) for run in group.runs] if len(other) == 1 else None


def _unpaired(difference: float, group: Group, best: Group, known: RunSamples) -> _Pair:
    """Groups of several runs with different seeds: Welch's t, less what the same test rows do to both."""
    sides = [_certainty([_alone(run, known) for run in side.runs]) for side in (group, best)]
    means = [np.mean([known.values[run.id] for run in side.runs], axis=0) for side in (group, best)]
    shared = 2 * float(np.cov(means, bias=True)[0, 1])
    variances = [side.standard_error**2 for side in sides]
    found = t_certainty(difference, max(sum(variances) - shared, 0.0), welch_freedom(variances, sides))
    detectable = detectable_difference(found.standard_error, found.freedom) or None
    return _Pair(Comparison(difference, found.interval, found.p, found.p, "t"), detectable)


def _certainty(values: Sequence[Difference]) -> Certainty:
    certainty = estimate(values).certainty
    if certainty is None:
        raise ValueError("a run of the group has no samples")
    return certainty


def _alone(run: ExperimentRecord, known: RunSamples) -> Difference:
    return Difference(seeds_of(run), float(run.part("results")[known.metric]), known.values[run.id])


def _difference(own: ExperimentRecord, other: ExperimentRecord, known: RunSamples) -> Difference:
    """Sample by sample, as each sample has the same rows for both runs."""
    observed = [float(run.part("results")[known.metric]) for run in (own, other)]
    samples = known.values[own.id] - known.values[other.id]
    return Difference(seeds_of(own) + seeds_of(other), observed[0] - observed[1], samples)
