"""Main effects: how much a value of an axis changes the ranking metric, by paired runs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sft.reporting.effects.planned import PlannedEffect
from sft.reporting.effects.runs import BoardRuns
from sft.reporting.records import Effect, SeedKey
from sft.reporting.uncertainty import Difference, Estimate, estimate, holm_corrected


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
