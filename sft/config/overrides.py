"""What a command line changes in raw configs: `--set dotted.key=value` and `--random-seed`."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sft.config.secrets import masked
from sft.exceptions import UserError
from sft.wording import and_more

Config = dict[str, Any]

SECTIONS = ("lora", "adapter")
"""Where the options of an adapter are written."""


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


def apply_overrides(
    configs: Mapping[str, Config], overrides: Iterable[Override], warn: Callable[[str], None] = lambda text: None
) -> dict[str, Config]:
    """New configs with every override in every one of them, in order; the given ones are not changed.

    An option of an adapter goes where there is an adapter, be it written in `lora` or in `adapter`: an experiment that
    trains nothing stays one, unless none has an adapter; and then those that say so on purpose (`method: none`) do.

    Args:
        configs: by name.
        overrides: the options of the command line.
        warn: takes what a user may not expect.

    Raises:
        UserError: a key on the way is neither an object nor missing nor null, or there is no adapter to set.
    """
    changed = dict(configs)
    for override in overrides:
        if _is_adapter_option(override):
            changed = _with_adapter_option(changed, override, warn)
        else:
            changed = {name: _with(config, override, 0, name) for name, config in changed.items()}
    return changed


def fill_seed(configs: Mapping[str, Config], seed: int) -> tuple[dict[str, Config], int]:
    """Configs in which `seed` is filled where none is written, and in how many that was."""
    filled = {name: config if "seed" in config else {**config, "seed": seed} for name, config in configs.items()}
    return filled, sum("seed" not in config for config in configs.values())


def _is_adapter_option(override: Override) -> bool:
    """Whether an option of an adapter is set; `adapter.method` says which one there is, and stays where it is."""
    return len(override.path) > 1 and override.path[0] in SECTIONS and override.path[:2] != ("adapter", "method")


def _with_adapter_option(
    configs: Mapping[str, Config], override: Override, warn: Callable[[str], None]
) -> dict[str, Config]:
    dotted = ".".join(override.path)
    sections = {name: _adapter_section(config, override.path[0]) for name, config in configs.items()}
    if not any(sections.values()):
        sections = {name: None if _trains_nothing(config) else override.path[0] for name, config in configs.items()}
        if not any(sections.values()):
            raise UserError(
                f"--set {dotted}: every experiment says adapter.method none, so there is no adapter to set"
            )
        warn(f"--set {dotted}: no experiment has an adapter, so it gives one to each that does not say method none")
    left = [name for name, section in sections.items() if section is None]
    if left:
        warn(f'--set {dotted}: "{left[0]}"{and_more(len(left), 1)} trains nothing and stays as it is')
    changed = dict(configs)
    for name, section in sections.items():
        if section is not None:
            placed = Override((section, *override.path[1:]), override.value)
            changed[name] = _with(configs[name], placed, 0, name)
    return changed


def _adapter_section(config: Config, named: str) -> str | None:
    """Where the options of a config's adapter are, if an override of the section `named` means it; else None."""
    if config.get("lora") is not None:
        return "lora"
    adapter = config.get("adapter")
    method = adapter.get("method") if isinstance(adapter, Mapping) else None
    is_meant = method == "lora" if named == "lora" else method not in (None, "none")
    return "adapter" if is_meant else None


def _trains_nothing(config: Config) -> bool:
    """Whether a config asks for no adapter in words; one that is only silent may be given one."""
    adapter = config.get("adapter")
    return isinstance(adapter, Mapping) and adapter.get("method") == "none"


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
