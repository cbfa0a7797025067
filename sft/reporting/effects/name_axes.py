"""Axes by names: the parts between slashes, where an axis of the grid may have changed several settings at once."""

from collections.abc import Hashable, Sequence

from sft.reporting.effects.axis import Axis, AxisValue, Block, GridRow, blocks_of
from sft.reporting.effects.reference import is_default, reference_of


def name_axes(rows: Sequence[GridRow]) -> list[Axis]:
    """The axes of a board's names; none where they have one part, or not all as many.

    A part by which only seeds differ is no axis: the seeds of a pair are equal.

    Args:
        rows: in the grid's order.
    """
    names = [row.record.name.split("/") for row in rows]
    lengths = set(map(len, names))
    if len(lengths) != 1 or lengths == {1}:
        return []
    axes = (_axis(place, names, rows) for place in range(len(names[0])))
    return [axis for axis in axes if axis is not None]


def _axis(place: int, names: Sequence[Sequence[str]], rows: Sequence[GridRow]) -> Axis | None:
    own = [parts[place] for parts in names]
    equal = [(*parts[:place], *parts[place + 1 :], row.seeds) for parts, row in zip(names, rows, strict=True)]
    blocks = blocks_of(zip(equal, own, rows, strict=True))
    if not blocks:
        return None
    present = {key for block in blocks for key in block}
    values = [AxisValue(text, text, text) for text in dict.fromkeys(own) if text in present]
    name = f"names, part {place + 1}"
    reference = reference_of(values, _defaults([value.key for value in values], blocks))
    return Axis(name, "name", {value.key: value for value in values}, reference, blocks)


def _paths_within(block: Block) -> set[str]:
    """The settings in which the rows of a block differ."""
    first, *others = (row.settings for row in block.values())
    return {path for path, key in first.items() if any(other[path] != key for other in others)}


def _defaults(keys: Sequence[Hashable], blocks: Sequence[Block]) -> list[Hashable]:
    """Values with which every setting that the axis changes is what a config has where nothing is written."""
    changed = {path for block in blocks for path in _paths_within(block)}
    others = {
        key
        for block in blocks
        for key, row in block.items()
        if not all(is_default(path, row.settings[path]) for path in changed)
    }
    return [key for key in keys if key not in others]
