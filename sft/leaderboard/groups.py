"""Groups of a board: experiments that differ only in their seeds, ranked by the mean over them."""

import statistics as numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sft.leaderboard.collect import ExperimentRecord, finite_numbers
from sft.leaderboard.gathering import SetUp, set_ups
from sft.leaderboard.records import BEST, WORSE, Comparison, Interval, SeedKey, Summary

MOST_LEADING = 10
"""Set-ups that lead side by side."""


@dataclass(frozen=True)
class Group:
    """Experiments with the same settings but for the seeds.

    Attributes:
        name: what the names of its rows have in common; unlike that of every other group.
        runs: one row per experiment that ran, best first.
        rows: all its rows; several names may share one run.
        n_seeds: how many seeds its rows cover.
        expected_seeds: how many the group with most of them was planned with.
        no_seed_effect: whether no seed changes anything in it, so that one run is all there can be.
        value: the mean of what the board ranks by; None where a run has no number, so that none gains by failing.
        rank: equal values share one; None without a value.
        interval: 95 %, of the mean of the ranking metric on test rows.
        interval_covers: the sources of chance that its interval is over.
        against_best: None for the best group itself, for one without a rank, and where rows cannot be compared.
        not_above: titles of the baselines that it is not shown to beat.
    """

    name: str
    runs: tuple[ExperimentRecord, ...]
    rows: tuple[ExperimentRecord, ...]
    n_seeds: int
    expected_seeds: int
    no_seed_effect: bool
    value: float | None
    rank: int | None = None
    interval: Interval | None = None
    interval_covers: str | None = None
    against_best: Comparison | None = None
    not_above: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether it has all seeds that it needs."""
        return self.no_seed_effect or self.n_seeds >= self.expected_seeds

    @property
    def is_provisional(self) -> bool:
        """Whether it is ranked by the seeds it has so far."""
        return self.rank is not None and not self.is_complete

    @property
    def mark(self) -> str | None:
        """What its comparison with the best comes to; None where there is none."""
        if self.against_best is not None:
            return self.against_best.mark
        return BEST if self.rank == 1 else None

    def results(self) -> dict[str, Summary]:
        """Every result over its runs, without those that have no number in any of them."""
        names = dict.fromkeys(name for run in self.runs for name in run.part("results"))
        found = {name: summary(self.runs, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def seeds_by_run(self) -> dict[SeedKey, ExperimentRecord]:
        """Its runs by the seeds of their rows; one may stand under several."""
        by_id = {run.id: run for run in self.runs}
        return {row.seeds: by_id[row.id] for row in self.rows}


def groups_of(
    records: Sequence[ExperimentRecord], unfinished: Iterable[ExperimentRecord], metric: str | None, higher: bool
) -> tuple[Group, ...]:
    """The groups of a board, best first, those that are not ranked after them.

    Args:
        records: finished rows of the board, best first.
        unfinished: rows of the grid without a result; they tell which seeds were planned.
        metric: key of `results` by which the board ranks.
        higher: whether more of it is better.
    """
    found = set_ups(records, unfinished)
    expected = max((len(one.planned) for one in found), default=0)
    return _ranked([_group(one, expected, metric) for one in found], metric, higher)


def leading_groups(groups: Sequence[Group]) -> list[Group]:
    """The best and those that are not shown to be worse than it, the first `MOST_LEADING` of them.

    Args:
        groups: of one board, best first, with their marks.
    """
    return [group for group in groups if group.mark not in (None, WORSE)][:MOST_LEADING]


def summary(runs: Sequence[ExperimentRecord], name: str) -> Summary | None:
    """One result over runs; None where none of them has a number."""
    values = finite_numbers(run.part("results").get(name) for run in runs)
    if not values:
        return None
    deviation = numbers.stdev(values) if len(values) > 1 else None
    return Summary(len(values), numbers.fmean(values), deviation, numbers.median(values))


def _group(part: SetUp, expected: int, metric: str | None) -> Group:
    runs = tuple(part.runs.values())
    unaffected = len(runs) == 1 and not runs[0].in_force.is_seeded
    values = finite_numbers(run.part("results").get(metric or "") for run in runs)
    return Group(
        name=part.name,
        runs=runs,
        rows=tuple(part.rows),
        n_seeds=len(part.seeds),
        expected_seeds=expected,
        no_seed_effect=unaffected,
        value=numbers.fmean(values) if len(values) == len(runs) else None,
    )


def _ranked(groups: Sequence[Group], metric: str | None, higher: bool) -> tuple[Group, ...]:
    """Complete groups by their mean, those short of seeds by that of the seeds they have.

    One that is short of seeds is not put first by an easier set of seeds: it leads only if it is ahead of the best
    complete group on the seeds that both have as well.
    """
    sign = -1.0 if higher else 1.0
    valued = [group for group in groups if group.value is not None]
    ordered = sorted(valued, key=lambda group: sign * (group.value or 0.0))
    best = next((group for group in ordered if group.is_complete), None)
    if best is not None and metric is not None:
        place = next(place for place, group in enumerate(ordered) if group is best)
        ahead = [group for group in ordered[:place] if _is_ahead(group, best, metric, sign)]
        leads = set(map(id, ahead))
        behind = [group for group in ordered[:place] if id(group) not in leads]
        ordered = [*ahead, best, *behind, *ordered[place + 1 :]]
    ranked: list[Group] = []
    for number, group in enumerate(ordered, 1):
        before = ranked[-1] if ranked else None
        is_tied = before is not None and (before.value, before.is_complete) == (group.value, group.is_complete)
        ranked.append(replace(group, rank=before.rank if before is not None and is_tied else number))
    return (*ranked, *(group for group in groups if group.value is None))


def _is_ahead(group: Group, best: Group, metric: str, sign: float) -> bool:
    """Whether a group is better than another one on the seeds that both have; not so where they share none."""
    own, other = group.seeds_by_run(), best.seeds_by_run()
    if best.no_seed_effect:
        other = dict.fromkeys(own, best.runs[0])
    common = [seeds for seeds in own if seeds in other]
    sides = [summary([runs[seeds] for seeds in common], metric) for runs in (own, other)]
    return (
        bool(common) and sides[0] is not None and sides[1] is not None and sign * sides[0].mean < sign * sides[1].mean
    )
