"""The axes of a board, from the settings of its rows and from their names, each with the value that the others are
compared with.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from sft.leaderboard.effects.axes import Axis, AxisValue, Block, GridRow, blocks_of, comes_with_section
from sft.leaderboard.in_force import METHOD, default_settings
from sft.leaderboard.setting_differences import SECTION, together, value_key, written_value
from sft.leaderboard.settings import DEFAULTS
from sft.wording import UNSET, distinct_texts

_NUMBERED = re.compile(r"(\D*)(\d+(?:\.\d+)?)(\D*)", re.ASCII)

SHOTS = "dataset.shots"

OF_TRAINING = ("lora", "adapter", "training", "dataset.if_fewer", "dataset.shots_by", "dataset.max_n_train")

OF_EXAMPLES = tuple(f"inference.{key}" for key in ("icl_selection", "icl_encoder", "random_icl"))

_NEEDS = {SHOTS: OF_TRAINING, "inference.icl_examples": OF_EXAMPLES}
"""Setting -> keys and sections that have no effect where it is 0."""

_AS_UNWRITTEN = {METHOD: "none", "inference.calibration_args.calibration_fn": "none", "dataset.shots": 0}
"""Values that say the same as a section left out; no shots are what the fewest are."""

Columns = Mapping[str, Sequence[Hashable]]


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
    axes = (_name_axis(place, names, rows) for place in range(len(names[0])))
    return [axis for axis in axes if axis is not None]


def _name_axis(place: int, names: Sequence[Sequence[str]], rows: Sequence[GridRow]) -> Axis | None:
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


def reference_of(values: Sequence[AxisValue], defaults: Sequence[Hashable]) -> Hashable:
    """The default where it is among them, else the smallest number, else the first.

    Args:
        values: at least one, in the grid's order.
        defaults: keys of those that say what a config has where nothing is written; the first is taken.
    """
    if defaults:
        return defaults[0]
    numbers = {value.key: number for value in values if (number := _plain_number(value)) is not None}
    if not numbers:
        numbers = _numbers_in_texts(values)
    return min(numbers, key=lambda key: numbers[key]) if numbers else values[0].key


def is_default(path: str, key: Hashable) -> bool:
    """Whether a setting is what a config has where nothing is written."""
    if key is None:
        return True
    if key == SECTION:  # an adapter that trains nothing is told by its method
        return path == "adapter" or any(other.startswith(f"{path}.") for other in default_settings())
    return key == _AS_UNWRITTEN.get(path, value_key(default_settings().get(path)))


def _plain_number(value: AxisValue) -> float | None:
    """Neither of True and False is the smaller setting, though both are numbers in Python."""
    written = value.written
    return written if isinstance(written, int | float) and not isinstance(written, bool) else None


def _numbers_in_texts(values: Sequence[AxisValue]) -> dict[Hashable, float]:
    """Numbers of texts that are alike but for them, such as `r8` and `r16`; nothing where one is not."""
    found = {value.key: _NUMBERED.fullmatch(value.text) for value in values}
    around = {match and (match[1], match[3]) for match in found.values()}
    if len(around) > 1:
        return {}
    return {key: float(match[2]) for key, match in found.items() if match}


def setting_axes(rows: Sequence[GridRow]) -> list[Axis]:
    """The axes of a board's settings, in the order of the configs.

    Args:
        rows: in the grid's order.
    """
    columns = {path: [row.settings[path] for row in rows] for path in (rows[0].settings if rows else ())}
    axes = (_setting_axis(paths, columns, rows) for paths in together(columns))
    return [axis for axis in axes if axis is not None]


def _setting_axis(paths: Sequence[str], columns: Columns, rows: Sequence[GridRow]) -> Axis | None:
    """That of leaves which change together; None where nothing else is equal beside it."""
    name = min(paths, key=lambda path: _telling(path, columns[path]))
    own = columns[name]
    blocks = blocks_of(_beside(paths, columns, rows, own))
    if not blocks:
        return None
    present = {key for block in blocks for key in block}
    unwritten = _unwritten(name, paths)
    values = _values([key for key in dict.fromkeys(own) if key in present], unwritten)
    defaults = [key for key in values if is_default(name, key)]
    reference = reference_of(list(values.values()), defaults)
    return Axis(name, "setting", values, reference, blocks, _others(name, paths, columns))


def _beside(
    paths: Sequence[str], columns: Columns, rows: Sequence[GridRow], own: Sequence[Hashable]
) -> Iterator[tuple[Hashable, Hashable, GridRow]]:
    """What is equal beside an axis, its value and the row.

    A row without shots, or without examples, has none of the settings that need them: it stands beside every way in
    which these are set.
    """
    needed = next((path for path in paths if path in _NEEDS), None)
    is_without = [needed is not None and columns[needed][place] == 0 for place in range(len(rows))]
    others = [path for path in columns if path not in paths]
    needing = [path for path in others if needed is not None and is_within(path, _NEEDS[needed])]
    keys = []
    for place, row in enumerate(rows):
        equal = (row.seeds, *(columns[path][place] for path in others if path not in needing))
        keys.append((equal, tuple(columns[path][place] for path in needing)))
    ways: dict[Hashable, dict[Hashable, None]] = {}
    for (equal, way), without in zip(keys, is_without, strict=True):
        if not without:
            ways.setdefault(equal, {})[way] = None
    for (equal, way), without, value, row in zip(keys, is_without, own, rows, strict=True):
        for each in ways.get(equal, [way]) if without else [way]:
            yield (equal, each), value, row


@cache
def is_within(path: str, sections: Sequence[str]) -> bool:
    """Whether a leaf is, or is in, one of some keys and sections."""
    return any(path == section or path.startswith(f"{section}.") for section in sections)


def _telling(path: str, keys: Sequence[Hashable]) -> tuple[int, int]:
    """Orders the settings that change together, the one first that says most of what they do."""
    if path == METHOD:
        place = 0
    elif SECTION in keys:
        place = 3
    elif comes_with_section(path, set(keys)):
        place = 4
    else:
        place = 2 if path == SHOTS else 1
    return place, len(path)


def _others(name: str, paths: Sequence[str], columns: Columns) -> tuple[str, ...]:
    """The leaves that change together with it; a section is told by what is written in it."""
    sections = {path for path in paths if any(other.startswith(f"{path}.") for other in paths)}
    written = (path for path in paths if not comes_with_section(path, set(columns[path])))
    return tuple(path for path in written if path != name and path not in sections)


def _values(keys: Sequence[Hashable], unwritten: str) -> dict[Hashable, AxisValue]:
    """A leaf that is not written is called by what it means there, and a section, which has no text, "set"."""
    named: dict[Hashable, str] = {None: unwritten, SECTION: "set"}
    written = [written_value(key) for key in keys]
    return {
        key: AxisValue(key, value, named.get(key, text))
        for key, value, text in zip(keys, written, distinct_texts(written), strict=True)
    }


def _unwritten(name: str, paths: Sequence[str]) -> str:
    """How a leaf that is null or not there is called: in a section that passes keys on, what they are by default."""
    has_own_default = name in default_settings()
    lacks_section = name.rpartition(".")[0] in paths
    return UNSET if has_own_default or lacks_section else DEFAULTS.get(name, "default")
