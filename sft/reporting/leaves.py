"""The leaves of a config by dotted path."""

from collections.abc import Iterable, Mapping
from typing import Any

NOT_A_SETTING = frozenset({"name"})


def leaves(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted path -> value of every leaf but the name; a list, and a map without entries, is a leaf."""
    return {path: value for path, value in _leaves(config, "") if path not in NOT_A_SETTING}


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, f"{path}.")
        else:
            yield path, item
