"""Files that `trainer_args` name: they count by their content, and their paths are relative to the grid's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.config.findings import PathMessage

KEYS = ("deepspeed", "accelerator_config", "fsdp_config")
"""Each takes a map, the same as JSON text, or the path of a JSON file."""


def argument_files(args: Mapping[str, Any]) -> dict[str, str]:
    """Argument -> path as written, of those that name a file."""
    written = {key: args[key] for key in KEYS if isinstance(args.get(key), str)}
    return {key: value for key, value in written.items() if not value.lstrip().startswith("{")}


def check_argument_files(args: Mapping[str, Any], folder: Path) -> list[PathMessage]:
    """The arguments whose file is not there, as (key, message)."""
    return [
        (key, f"{name!r}: no file {path}; paths are relative to the config")
        for key, name in argument_files(args).items()
        if not (path := folder / Path(name).expanduser()).is_file()
    ]


def with_paths(args: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The arguments with the paths of these files absolute."""
    named = argument_files(args)
    return {**args, **{key: str((folder / Path(name).expanduser()).resolve()) for key, name in named.items()}}
