"""Main effects: how much a value of an axis changes the ranking metric, by the pairs of runs that tell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.effects.axes import Axis, AxisValue, GridRow, RunPair, changes
from sft.leaderboard.effects.axis_sources import axes_of
from sft.leaderboard.gathering import seed_of_all
from sft.leaderboard.groups import Group
from sft.leaderboard.records import Comparison, Effect, SeedKey
from sft.leaderboard.statistics.comparison import BoardRuns
from sft.leaderboard.statistics.seed_clusters import ALONE, BOTH_SEEDED, CONTEXTS, Difference, kind_of


@dataclass(frozen=True)
class PlannedEffect:
    """A value of an axis beside its reference.

    Attributes:
        axis: of the grid.
        reference: with which the value is compared.
        value: another one.
        pairs: runs, and the seeds at which each pair stands.
        reference_name: the part of the names that says the same; None where none does.
        value_name: likewise.
        changes: setting in which the runs of a pair differ -> how each is written, the value's first.
    """

    axis: Axis
    reference: AxisValue
    value: AxisValue
    pairs: Mapping[RunPair, Sequence[SeedKey]]
    reference_name: str | None
    value_name: str | None
    changes: Mapping[str, tuple[str, str]]


def main_effects(planned: Sequence[PlannedEffect], groups: Sequence[Group], runs: BoardRuns) -> tuple[Effect, ...]:
    """The effects with their numbers, p corrected for all of them; without those of which no pair has two numbers.

    What is usual of the spread over seeds is taken from the effects themselves where they are means over several
    contexts, and from the board's set-ups where they are single pairs of these.

    Args:
        planned: of one board.
        groups: of the board.
        runs: of the board.
    """
    board = _Board(
        {run.id: run for group in groups for run in group.runs},
        frozenset(run.id for group in groups if group.no_seed_effect for run in group.runs),
        runs,
    )
    numbers = [(plan, list(board.numbers(plan))) for plan in planned]
    numbers = [(plan, own) for plan, own in numbers if own]
    pairs = [board.differences(own) for _, own in numbers]
    comparer = runs.comparer.with_priors(own for own in pairs if own is not None and kind_of(own).startswith(CONTEXTS))
    findings = [None if own is None else comparer.mean(own) for own in pairs]
    comparisons = comparer.family(findings)
    return tuple(
        _effect(plan, own, comparison, runs.samples.metric)
        for (plan, own), comparison in zip(numbers, comparisons, strict=True)
    )


@dataclass(frozen=True)
class _PairNumbers:
    """Two runs, the seeds at which they stand beside each other, and the metric of each."""

    value: ExperimentRecord
    reference: ExperimentRecord
    seeds: SeedKey | None
    kind: str
    difference: float


@dataclass(frozen=True)
class _Board:
    """The runs of a board by id, and the ids of those in which no seed changes anything."""

    records: Mapping[str, ExperimentRecord]
    seedless: frozenset[str]
    runs: BoardRuns

    def numbers(self, planned: PlannedEffect) -> Iterator[_PairNumbers]:
        """The pairs of which both have a number."""
        metric = self.runs.samples.metric
        for pair, seeds in planned.pairs.items():
            value, reference = self.records[pair.value], self.records[pair.reference]
            own, other = value.number(metric), reference.number(metric)
            if own is None or other is None:
                continue
            seedless = [run in self.seedless for run in (pair.value, pair.reference)]
            of_pair = _seeds_of_pair(seeds, is_seedless=all(seedless))
            yield _PairNumbers(value, reference, of_pair, ALONE if any(seedless) else BOTH_SEEDED, own - other)

    def differences(self, numbers: Sequence[_PairNumbers]) -> list[Difference] | None:
        """The pairs with their samples; None where one of them has none."""
        known = self.runs.samples
        if not known.has_all(run.id for pair in numbers for run in (pair.value, pair.reference)):
            return None
        return [self.runs.pair(pair.value, pair.reference, pair.seeds, pair.kind) for pair in numbers]


def _effect(
    planned: PlannedEffect, numbers: Sequence[_PairNumbers], comparison: Comparison | None, metric: str
) -> Effect:
    return Effect(
        axis=planned.axis.name,
        also=planned.axis.also,
        kind=planned.axis.kind,
        reference=planned.reference.text,
        value=planned.value.text,
        reference_name=planned.reference_name,
        value_name=planned.value_name,
        changes=planned.changes,
        metric=metric,
        difference=fmean(pair.difference for pair in numbers),
        n_pairs=len(numbers),
        comparison=comparison,
    )


def _seeds_of_pair(seeds: Sequence[SeedKey], *, is_seedless: bool) -> SeedKey | None:
    """None for a pair in which nothing is drawn; of one that stands under several seeds what they have in common."""
    return None if is_seedless else seed_of_all(seeds)


def planned_effects(rows: Sequence[GridRow]) -> list[PlannedEffect]:
    """The effects of a board: axes in the order of the configs, then of the names; values in the grid's order.

    The same pairs are one effect, told by the setting, with the names for it where there are any.

    Args:
        rows: in the grid's order.
    """
    of_run = {row.record.id: row for row in rows}
    found: dict[frozenset[frozenset[str]], PlannedEffect] = {}
    for axis in axes_of(rows):
        for key, pairs in axis.pairs().items():
            reference, value = axis.values[axis.reference], axis.values[key]
            names = axis.names.get(axis.reference), axis.names.get(key)
            beside = [(of_run[pair.value], of_run[pair.reference]) for pair in pairs]
            effect = PlannedEffect(axis, reference, value, pairs, *names, dict(changes(beside)))
            mark = frozenset(frozenset((pair.value, pair.reference)) for pair in pairs)
            known = found.get(mark)
            found[mark] = effect if known is None else _with_names(known, effect)
    return list(found.values())


def _with_names(known: PlannedEffect, other: PlannedEffect) -> PlannedEffect:
    """An effect of a setting with the texts of one of names, which may stand the other way round."""
    if known.axis.kind == other.axis.kind or known.value_name is not None:
        return known
    texts = other.reference.text, other.value.text
    reference, value = texts if set(known.pairs) == set(other.pairs) else texts[::-1]
    return replace(known, reference_name=reference, value_name=value)
