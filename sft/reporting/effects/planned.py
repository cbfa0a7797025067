"""Which effects a board has: value beside reference, and the pairs of runs that tell; no number is looked at."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from sft.reporting.effects.axes import axes_of
from sft.reporting.effects.axis import Axis, AxisValue, GridRow, RunPair
from sft.reporting.records import SeedKey


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


def planned_effects(rows: Sequence[GridRow]) -> list[PlannedEffect]:
    """The effects of a board: axes in the order of the configs, then of the names; values in the grid's order.

    The same pairs are one effect, told by the setting, with the names for it where there are any.

    Args:
        rows: in the grid's order.
    """
    found: dict[frozenset[frozenset[str]], PlannedEffect] = {}
    for axis in axes_of(rows):
        for key, pairs in axis.pairs().items():
            effect = _effect(axis, key, pairs)
            mark = frozenset(frozenset((pair.value, pair.reference)) for pair in pairs)
            known = found.get(mark)
            found[mark] = effect if known is None else _with_names(known, effect)
    return list(found.values())


def _effect(axis: Axis, key: Hashable, pairs: Mapping[RunPair, Sequence[SeedKey]]) -> PlannedEffect:
    reference, value = axis.values[axis.reference], axis.values[key]
    return PlannedEffect(axis, reference, value, pairs, axis.names.get(axis.reference), axis.names.get(key))


def _with_names(known: PlannedEffect, other: PlannedEffect) -> PlannedEffect:
    """An effect of a setting with the texts of one of names, which may stand the other way round."""
    if known.axis.kind == other.axis.kind or known.value_name is not None:
        return known
    texts = other.reference.text, other.value.text
    reference, value = texts if set(known.pairs) == set(other.pairs) else texts[::-1]
    return replace(known, reference_name=reference, value_name=value)
