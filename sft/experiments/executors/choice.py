"""Which executor a run takes: what a grid says beside its configs, and over that what a command says."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sft.exceptions import UserError
from sft.experiments.executors import executor_registry, option_registry
from sft.experiments.executors.options import ExecutorOptions, options_of
from sft.registry import load, unknown_name
from sft.wording import json_kind

KEY = "executor"
"""Of the grid."""
NAME = "name"
Options = TypeVar("Options", bound=ExecutorOptions)


@dataclass(frozen=True)
class ExecutorChoice:
    """An executor with its options."""

    name: str
    options: Mapping[str, str]


def read_choice(written: Any) -> ExecutorChoice | None:
    """The executor that a grid names; None where it names none. No cluster is asked.

    Args:
        written: `{name: 'slurm', partition: 'gpu'}`, or the name alone; an option that is null is left out.

    Raises:
        UserError: there is no such executor or option, or a value is none of that option.
    """
    if written is None:
        return None
    given = {NAME: written} if isinstance(written, str) else written
    if not isinstance(given, dict) or not isinstance(given.get(NAME), str):
        told = f"got {json_kind(written)}" if not isinstance(given, dict) else "its name is missing or no text"
        raise UserError(f"{KEY}: must be {{name: 'slurm', OPTION: VALUE, ...}} or the name alone; {told}")
    name = given[NAME]
    if name not in executor_registry:
        raise UserError(f"{KEY}: {unknown_name('executor', name, executor_registry)}")
    options = {key: _text(key, value) for key, value in given.items() if key != NAME and value is not None}
    if name in option_registry:
        options_of(load(option_registry, name, KEY), options, f"{KEY}:")
    elif options:
        raise UserError(f"{KEY}: {next(iter(options))} goes with a cluster, and {name} is none")
    return ExecutorChoice(name, options)


def in_force(options: Options, grid: ExecutorChoice | None) -> Options:
    """The options of a run: what a command leaves open is as its grid says.

    Args:
        options: of the command; options of an executor stay those of the grid where it names the same, or none.
        grid: what the grid says.
    """
    if grid is None or options.executor not in (None, grid.name):
        return options
    return dataclasses.replace(
        options, executor=grid.name, executor_options={**grid.options, **options.executor_options}
    )


def _text(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise UserError(f"{KEY}: {key}: must be text, a number or true or false, got {json_kind(value)}")
