"""Which keys of a config are seeds, and what configs have in common that are equal but for them."""

import json
from collections.abc import Mapping
from typing import Any

SEEDS = ("seed", "seeds")
"""Keys of a config."""


def is_seed(path: str) -> bool:
    """Whether a dotted key of a config is a seed."""
    return path.partition(".")[0] in SEEDS


def without_seeds(config: Mapping[str, Any]) -> str:
    """The same text for resolved configs that are equal but for their names and seeds."""
    return json.dumps(
        {key: value for key, value in config.items() if key != "name" and key not in SEEDS}, sort_keys=True
    )
