"""The experiments of a grid by name, before anything is known about their content."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sft.exceptions import UserError
from sft.registry import nearest
from sft.wording import json_kind

MAX_EXPERIMENTS = 10_000
SHOWN_NAMES = 5
BESIDE_CONFIGS = ("executor",)
"""What a grid may say beside its configs."""
REQUIRED = frozenset({"dataset", "model", "prompting"})
"""Keys by which a config is known where a map of configs is taken for one."""

Config = dict[str, Any]
Configs = dict[str, Config]


def expand(
    value: Any,
    stem: str,
    only: str | None = None,
    max_experiments: int = MAX_EXPERIMENTS,
    warn: Callable[[str], None] | None = None,
) -> Configs:
    """Names and raw configs of a grid, in its order.

    Args:
        value: `{configs: {name: config}}`, a list of configs (entries without a name are `0001`, ...), or one config.
        stem: name of a single config without one: that of its file without ending.
        only: shell pattern over the whole name; a name that is exactly the pattern is taken alone.
        max_experiments: how many there may be before `only`.
        warn: told of experiments that stand in a list twice.

    Raises:
        UserError: another form, a bad name, two experiments of one name, none, or too many.
    """
    entries = _entries(value, stem)
    if not entries:
        raise UserError("0 experiments: the grid is empty; give {configs: {name: config, ...}}")
    if len(entries) > max_experiments:
        flag = f"--max-experiments {len(entries)}"
        raise UserError(f"{len(entries):,} experiments are more than {max_experiments:,}; allow them with {flag}")
    configs = _by_name(entries, warn)
    return configs if only is None else _matching(configs, only)


def only_one(configs: Mapping[str, Config]) -> tuple[str, Config]:
    """The name and config of a command that takes one experiment.

    Raises:
        UserError: there are several.
    """
    if len(configs) != 1:
        there = f"{len(configs):,} experiments"
        raise UserError(f"{there}, but this command takes one; choose with --only NAME: {_some(configs)}")
    return next(iter(configs.items()))


def _entries(value: Any, stem: str) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(_written_name(entry, f"{number:04}"), entry) for number, entry in enumerate(value, start=1)]
    if not isinstance(value, dict):
        allowed = "{configs: {name: config}}, a list of configs or one config"
        raise UserError(f"a grid must be {allowed}, got {json_kind(value)}")
    if "configs" not in value:
        named = [name for name, entry in value.items() if isinstance(entry, dict) and entry.keys() >= REQUIRED]
        if named:
            raise UserError(
                f"{named[0]!r} is a config in a map without configs; write {{configs: {{...}}}} around the map"
            )
        return [(_written_name(value, stem), value)] if value else []
    others = sorted(set(value) - {"configs", *BESIDE_CONFIGS})
    if others:
        hint = nearest(others[0], BESIDE_CONFIGS)
        advice = f"did you mean {hint}?" if hint else "move it into the configs"
        raise UserError(f"unknown key beside configs: {', '.join(others)}; {advice}")
    if not isinstance(value["configs"], dict):
        raise UserError(f"configs: must be a map from names to configs, got {json_kind(value['configs'])}")
    return list(value["configs"].items())


def _written_name(entry: Any, default: str) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if name is None:
        return default
    if not isinstance(name, str):
        raise UserError(f"experiment {default}: name: must be text, got {json_kind(name)}")
    return name


def _by_name(entries: Sequence[tuple[str, Any]], warn: Callable[[str], None] | None) -> Configs:
    configs: Configs = {}
    first: dict[str, int] = {}
    for number, (name, config) in enumerate(entries, start=1):
        _check_entry(number, name, config)
        if name not in configs:
            configs[name], first[name] = config, number
        elif configs[name] != config:
            pair = f"experiments #{first[name]} and #{number}"
            raise UserError(f'{pair} are both named "{name}" but differ; give each its own name')
        elif warn is not None:
            warn(f'experiment #{number} is an exact copy of #{first[name]} "{name}"; it runs once')
    return configs


def _check_entry(number: int, name: str, config: Any) -> None:
    if not name or "\0" in name or not _encodable(name):
        raise UserError(f"experiment #{number}: the name {name!a} is empty or has a character that cannot be written")
    if not isinstance(config, dict):
        raise UserError(f'experiment #{number} "{name}": must be a config object, got {json_kind(config)}')
    written = config.get("name")
    if written is not None and written != name:
        advice = "in a map the key is the name, leave it out"
        raise UserError(f'experiment #{number} "{name}": its name key says {written!r}; {advice}')


def _matching(configs: Configs, only: str) -> Configs:
    if only in configs:
        return {only: configs[only]}
    chosen = {name: config for name, config in configs.items() if fnmatch.fnmatchcase(name, only)}
    if not chosen:
        there = f"there are {len(configs):,}: {_some(configs)}"
        raise UserError(f"0 experiments: no name matches --only {only!r}; {there}")
    return chosen


def _some(configs: Mapping[str, Config]) -> str:
    names = list(configs)
    return ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
