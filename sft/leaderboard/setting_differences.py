"""The settings in which experiments differ, one column each."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from sft.config.seeds import is_seed

Settings = Mapping[str, Any]
"""The leaves of a config by dotted path."""

SECTION = ("section",)
"""Key of a section that is there, whatever it holds."""


def differing(settings: Sequence[Settings]) -> list[str]:
    """Paths of the leaves that are not equal in all experiments, seeds among them, in the order of the configs.

    A section that one experiment leaves out and another fills differs by the leaves of the fuller one.

    Args:
        settings: of the experiments, by dotted path.
    """
    columns = setting_columns(settings, with_seeds=True)
    outer = {path.rpartition(".")[0] for path in columns}
    return [path for path in columns if path not in outer and any(own.get(path) is not None for own in settings)]


def together(columns: Mapping[str, Sequence[Hashable]]) -> list[list[str]]:
    """The paths of columns, those in one list that are equal in the same rows: they always change together.

    Args:
        columns: path -> a key of its value in each row.
    """
    found: dict[tuple[int, ...], list[str]] = {}
    for path, keys in columns.items():
        places: dict[Hashable, int] = {}
        found.setdefault(tuple(places.setdefault(key, len(places)) for key in keys), []).append(path)
    return list(found.values())


def setting_columns(settings: Sequence[Settings], *, with_seeds: bool = False) -> dict[str, list[Hashable]]:
    """Dotted path -> a key of its value in each row; of what is not equal in all, in the order of the configs.

    What is null and what is not there have the key None. A section that only some rows have is a column too, so that
    an empty one is not like none. Cheap for ten thousand rows.

    Args:
        settings: of the rows, by dotted path.
        with_seeds: whether seeds count as settings.
    """
    counts = Counter(path for own in settings for path in own)
    paths = [path for path in counts if with_seeds or not is_seed(path)]
    columns = {}
    for path in paths:
        written = [own.get(path) for own in settings]
        if written.count(written[0]) < len(written) or len(set(map(type, written))) > 1:
            columns[path] = [value_key(value) for value in written]
    for section in _optional_sections(paths, counts, len(settings)):
        present: list[Hashable] = [SECTION if has_section(own, section) else None for own in settings]
        if len(set(present)) > 1:
            columns[section] = present
        else:
            columns.pop(section, None)
    return {path: columns[path] for path in sorted(columns, key=_order(paths))}


def written_value(key: Hashable) -> Any:
    """The value of a key; None for one that is not there and for a section."""
    if key == SECTION:
        return None
    return json.loads(key[1]) if isinstance(key, tuple) else key


def value_key(value: Any) -> Hashable:
    """What stands for a value of a config where values are counted."""
    if value == {}:
        return SECTION
    if value is None or isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return "json", json.dumps(value, sort_keys=True)


def _optional_sections(paths: Sequence[str], counts: Mapping[str, int], n_rows: int) -> dict[str, None]:
    """Sections that some rows may lack: none of their leaves is in all rows."""
    inner: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split(".")
        for end in range(1, len(parts)):
            inner.setdefault(".".join(parts[:end]), []).append(path)
    return {section: None for section, leaves in inner.items() if all(counts[leaf] < n_rows for leaf in leaves)}


def has_section(settings: Settings, section: str) -> bool:
    """Whether a row has a section: one without entries is a leaf."""
    if section in settings:
        return settings[section] is not None
    return any(path.startswith(f"{section}.") for path in settings)


def _order(paths: Iterable[str]) -> Any:
    """Sections stand before what is in them."""
    places = {path: place for place, path in enumerate(paths)}

    def place(path: str) -> tuple[int, int]:
        first = places.get(path)
        if first is None:
            first = min(number for other, number in places.items() if other.startswith(f"{path}."))
        return first, len(path)

    return place
