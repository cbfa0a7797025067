"""The axes of a board: those of its settings, and those of its names that say more."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from sft.reporting.effects.axis import Axis, GridRow
from sft.reporting.effects.name_axes import name_axes
from sft.reporting.effects.setting_axes import setting_axes


def axes_of(rows: Sequence[GridRow]) -> list[Axis]:
    """Every axis once: one of the names that puts the same runs side by side as a setting lends it its texts.

    Args:
        rows: of one board, in the grid's order.
    """
    found = {axis.fingerprint(): axis for axis in setting_axes(rows)}
    for axis in name_axes(rows):
        mark = axis.fingerprint()
        found[mark] = _with_names(found[mark], axis) if mark in found else axis
    return list(found.values())


def _with_names(setting: Axis, names: Axis) -> Axis:
    """The setting with the part of the names for each value, where they are one to one."""
    parts: dict[str, set[str]] = {}
    for block in names.blocks:
        for part, row in block.items():
            parts.setdefault(row.record.id, set()).add(str(part))
    told: dict[Hashable, set[str]] = {}
    for block in setting.blocks:
        for key, row in block.items():
            told.setdefault(key, set()).update(parts[row.record.id])
    texts = [text for found in told.values() for text in found]
    if setting.kind != "setting" or len(texts) != len(told) or len(set(texts)) != len(texts):
        return setting
    return replace(setting, names={key: next(iter(found)) for key, found in told.items()})
