"""Axes by settings: rows that are equal in every leaf of their configs but one, or but those that change with it."""

from collections.abc import Hashable, Mapping, Sequence

from sft.reporting.effects.axis import Axis, AxisValue, GridRow, blocks_of
from sft.reporting.effects.reference import is_default, reference_of
from sft.reporting.setting_differences import SECTION, together, written_value
from sft.reporting.settings import default_settings
from sft.wording import plain_text

Columns = Mapping[str, Sequence[Hashable]]


def setting_axes(rows: Sequence[GridRow]) -> list[Axis]:
    """The axes of a board's settings, in the order of the configs.

    Args:
        rows: in the grid's order.
    """
    columns = {path: [row.settings[path] for row in rows] for path in (rows[0].settings if rows else ())}
    axes = (_axis(paths, columns, rows) for paths in together(columns))
    return [axis for axis in axes if axis is not None]


def _axis(paths: Sequence[str], columns: Columns, rows: Sequence[GridRow]) -> Axis | None:
    """That of leaves which change together; None where nothing else is equal beside it."""
    name = min(paths, key=lambda path: (SECTION in columns[path], len(path)))
    seeds = [row.seeds for row in rows]
    equal = zip(seeds, *(values for path, values in columns.items() if path not in paths), strict=True)
    own = columns[name]
    blocks = blocks_of(zip(equal, own, rows, strict=True))
    if not blocks:
        return None
    present = {key for block in blocks for key in block}
    unwritten = _unwritten(name, paths)
    values = {key: _value(key, unwritten) for key in dict.fromkeys(own) if key in present}
    defaults = [key for key in values if is_default(name, key)]
    reference = reference_of(list(values.values()), defaults)
    return Axis(name, "setting", values, reference, blocks, _others(name, paths))


def _others(name: str, paths: Sequence[str]) -> tuple[str, ...]:
    """The leaves that change together with it; a section is told by what is in it."""
    sections = {path for path in paths if any(other.startswith(f"{path}.") for other in paths)}
    return tuple(path for path in paths if path != name and path not in sections)


def _value(key: Hashable, unwritten: str) -> AxisValue:
    written = written_value(key)
    text = unwritten if key is None else "set" if key == SECTION else plain_text(written)
    return AxisValue(key, written, text)


def _unwritten(name: str, paths: Sequence[str]) -> str:
    """How a leaf that is null or not there is called: in a section that passes keys on, what they are by default."""
    has_own_default = name in default_settings()
    lacks_section = name.rpartition(".")[0] in paths
    return plain_text(None) if has_own_default or lacks_section else "default"
