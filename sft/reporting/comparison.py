"""Statistics of a board's groups: intervals, comparisons with the best, and what its test rows can show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sft.reporting.groups import Comparison, Group, summary
from sft.reporting.row_metrics import SHARES
from sft.reporting.samples import RunSamples
from sft.reporting.statistics import (
    CONFIDENCE,
    SAMPLES,
    Floats,
    Interval,
    bootstrap_p,
    detectable_accuracy_difference,
    detectable_difference,
    holm,
    mcnemar_p,
    over_seeds,
    percentile_interval,
)

MOST_GROUPS = 50
"""So many groups, the best ones, get statistics unless all are asked for."""
_SAME = 1e-9


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
    for place, pair, corrected in zip(pairs, pairs.values(), _corrected(pairs), strict=True):
        found[place] = replace(found[place], against_best=replace(pair.comparison, p_holm=corrected))
    known = [pair.detectable for pair in pairs.values() if pair.detectable is not None]
    detectable = float(np.median(known)) if known else None
    return ComparedGroups(tuple(found), BoardStatistics(samples.metric, samples.n_rows, len(readable), detectable))


def with_statistics_of(groups: Sequence[Group], *, full: bool) -> Sequence[Group]:
    """The groups that get statistics."""
    return groups if full else groups[:MOST_GROUPS]


def group_interval(group: Group, samples: RunSamples) -> Interval:
    """Of the mean of a group all of whose runs are known."""
    return percentile_interval(over_seeds(_values(group, samples.values)))


def _corrected(pairs: Mapping[int, _Pair]) -> list[float]:
    return holm([pair.comparison.p for pair in pairs.values()])


def _pairs(places: Sequence[int], groups: Sequence[Group], samples: RunSamples) -> dict[int, _Pair]:
    """Place -> the group there beside the best, the first; none where the best one's rows cannot be read."""
    if not places or places[0] != 0:
        return {}
    best = groups[0]
    return {place: _pair(groups[place], best, samples) for place in places[1:]}


def _pair(group: Group, best: Group, known: RunSamples) -> _Pair:
    metric, runs = known.metric, known.rows
    samples = _differences(group, best, known.values)
    means = [summary(side.runs, metric) for side in (group, best)]
    difference = (means[0].mean if means[0] else 0.0) - (means[1].mean if means[1] else 0.0)
    one_seed = len(group.runs) == len(best.runs) == 1
    interval = percentile_interval(samples)
    if not one_seed or metric not in SHARES:
        p = bootstrap_p(samples, difference, one_seed=one_seed)
        comparison = Comparison(difference, interval, p, p, "bootstrap")
        return _Pair(comparison, detectable_difference(float(samples.std())) or None)
    own, other = runs[group.runs[0].id].correct, runs[best.runs[0].id].correct
    alone, other_alone = int((own & ~other).sum()), int((other & ~own).sum())
    p = mcnemar_p(alone, other_alone)
    detectable = detectable_accuracy_difference(len(own), (alone + other_alone) / len(own))
    return _Pair(Comparison(difference, interval, p, p, "mcnemar"), detectable)


def _differences(group: Group, best: Group, values: Mapping[str, Floats]) -> Floats:
    """(samples,) differences of the means: seed by seed where both have the same; one run stands beside every seed."""
    own, other = group.seeds_by_run(), best.seeds_by_run()
    if own.keys() == other.keys():
        return over_seeds(np.stack([values[own[seeds].id] - values[other[seeds].id] for seeds in own]))
    return over_seeds(_values(group, values)) - over_seeds(_values(best, values), stream=1)


def _values(group: Group, values: Mapping[str, Floats]) -> Floats:
    """(seeds, samples)."""
    return np.stack([values[run.id] for run in group.runs])
