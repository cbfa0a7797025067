"""Main effects: how much a value of an axis changes the ranking metric, by the pairs of runs that tell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.effects.axes import Axis, AxisValue, GridRow, RunPair
from sft.leaderboard.effects.axis_sources import axes_of
from sft.leaderboard.groups import Group
from sft.leaderboard.records import Effect, SeedKey
from sft.leaderboard.statistics.run_samples import RunSamples
from sft.leaderboard.statistics.uncertainty import Difference, Estimate, estimate, holm_corrected


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
        has_interval: whether its runs are among those that are sampled.
    """

    axis: Axis
    reference: AxisValue
    value: AxisValue
    pairs: Mapping[RunPair, Sequence[SeedKey]]
    reference_name: str | None
    value_name: str | None
    has_interval: bool = False

    def runs(self) -> set[str]:
        """Ids of all its runs."""
        return {run for pair in self.pairs for run in (pair.value, pair.reference)}


@dataclass(frozen=True)
class BoardRuns:
    """What is known of the runs of a board.

    Attributes:
        records: by id.
        seedless: ids of those in which no seed changes anything.
        samples: by the ranking metric on test rows, of those that were chosen.
    """

    records: Mapping[str, ExperimentRecord]
    seedless: frozenset[str]
    samples: RunSamples

    @classmethod
    def of(cls, groups: Sequence[Group], samples: RunSamples) -> "BoardRuns":
        """Those of all groups."""
        return cls(
            {run.id: run for group in groups for run in group.runs},
            frozenset(run.id for group in groups if group.no_seed_effect for run in group.runs),
            samples,
        )

    @property
    def metric(self) -> str:
        """The ranking metric, on test rows."""
        return self.samples.metric

    def number(self, run: str) -> float | None:
        """The metric of a run; None where it has no number."""
        return self.records[run].number(self.metric)


def main_effects(planned: Sequence[PlannedEffect], runs: BoardRuns) -> tuple[Effect, ...]:
    """The effects with their numbers, p corrected for all of them; without those of which no pair has two numbers.

    Args:
        planned: of one board.
        runs: of the board.
    """
    found = [effect for plan in planned if (effect := _effect(plan, runs)) is not None]
    corrected = holm_corrected([effect.certainty for effect in found])
    return tuple(replace(effect, p_holm=p) for effect, p in zip(found, corrected, strict=True))


def _effect(planned: PlannedEffect, runs: BoardRuns) -> Effect | None:
    pairs = list(_differences(planned, runs))
    if not pairs:
        return None
    found: Estimate = estimate(pairs)
    return Effect(
        axis=planned.axis.name,
        also=planned.axis.also,
        kind=planned.axis.kind,
        reference=planned.reference.text,
        value=planned.value.text,
        reference_name=planned.reference_name,
        value_name=planned.value_name,
        metric=runs.metric,
        difference=found.difference,
        certainty=found.certainty,
        p_holm=None,
        n_pairs=found.n_pairs,
        n_seeds=found.n_seeds,
    )


def _differences(planned: PlannedEffect, runs: BoardRuns) -> Iterator[Difference]:
    values = runs.samples.values
    for pair, seeds in planned.pairs.items():
        own, other = runs.number(pair.value), runs.number(pair.reference)
        if own is None or other is None:
            continue
        is_sampled = planned.has_interval and pair.value in values and pair.reference in values
        samples = values[pair.value] - values[pair.reference] if is_sampled else None
        is_seedless = {pair.value, pair.reference} <= runs.seedless
        yield Difference(_seeds_of_pair(seeds, is_seedless=is_seedless), own - other, samples)


def _seeds_of_pair(seeds: Sequence[SeedKey], *, is_seedless: bool) -> SeedKey | None:
    """None for a pair that is the same at every seed: it stands under several, or nothing in it is drawn."""
    return None if is_seedless or len(set(seeds)) > 1 else seeds[0]


def planned_effects(rows: Sequence[GridRow]) -> list[PlannedEffect]:
    """The effects of a board: axes in the order of the configs, then of the names; values in the grid's order.

    The same pairs are one effect, told by the setting, with the names for it where there are any.

    Args:
        rows: in the grid's order.
    """
    found: dict[frozenset[frozenset[str]], PlannedEffect] = {}
    for axis in axes_of(rows):
        for key, pairs in axis.pairs().items():
            reference, value = axis.values[axis.reference], axis.values[key]
            effect = PlannedEffect(axis, reference, value, pairs, axis.names.get(axis.reference), axis.names.get(key))
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
