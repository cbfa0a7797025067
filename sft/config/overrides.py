"""What a command line changes in raw configs: `--set dotted.key=value` and `--random-seed`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sft.config.secrets import masked
from sft.errors import UserError

Config = dict[str, Any]


@dataclass(frozen=True)
class Override:
    """One `--set`."""

    path: tuple[str, ...]
    """Keys from the top of the config."""

    value: Any
    """What is put there, in place of everything that was."""


def parse_override(text: str) -> Override:
    """`training.trainer_args.learning_rate=1e-4` as keys and value; a value that is not JSON is text.

    Raises:
        UserError: no `=`, an empty key, or `name`, which the grid gives.
    """
    dotted, separator, written = text.partition("=")
    path = tuple(part.strip() for part in dotted.split("."))
    if not separator or not all(path):
        example = "training.trainer_args.learning_rate=1e-4"
        raise UserError(f"--set {masked(text)!r}: must be dotted.key=value, such as {example}")
    if path == ("name",):
        raise UserError("--set name=...: the name of an experiment is its key in the grid; change it there")
    try:
        return Override(path, json.loads(written, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return Override(path, written)


def apply_overrides(configs: Mapping[str, Config], overrides: Iterable[Override]) -> dict[str, Config]:
    """New configs with every override in every one of them, in order; the given ones are not changed.

    Raises:
        UserError: a key on the way is neither an object nor missing nor null.
    """
    changed = dict(configs)
    for override in overrides:
        changed = {name: _with(config, override, 0, name) for name, config in changed.items()}
    return changed


def fill_seed(configs: Mapping[str, Config], seed: int) -> tuple[dict[str, Config], int]:
    """Configs in which `seed` is filled where none is written, and in how many that was."""
    filled = {name: config if "seed" in config else {**config, "seed": seed} for name, config in configs.items()}
    return filled, sum("seed" not in config for config in configs.values())


def _with(section: Any, override: Override, depth: int, name: str) -> Config:
    if section is None:
        section = {}
    if not isinstance(section, dict):
        dotted, above = ".".join(override.path), ".".join(override.path[:depth])
        raise UserError(f'--set {dotted}: in experiment "{name}" {above} is not an object; set it as a whole')
    key = override.path[depth]
    last = depth == len(override.path) - 1
    return {**section, key: override.value if last else _with(section.get(key), override, depth + 1, name)}


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
