"""From what a user names (a file, or a plain value in Python) to the raw configs of a grid."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sft.config.overrides import apply_overrides, fill_seed, parse_override
from sft.experiments.grids.expand import MAX_EXPERIMENTS, expand, only_one
from sft.experiments.grids.jsonnet import JsonnetOptions, evaluate_jsonnet
from sft.processes.garbage import without_search_for_cycles

PYTHON_SOURCE = "grid"


@dataclass(frozen=True)
class GridOptions:
    """What a command line adds to a grid."""

    overrides: tuple[str, ...] = ()
    """`dotted.key=value`, set in every experiment."""
    random_seed: int | None = None
    """Fills `seed` where the config has none."""
    only: str | None = None
    """Shell pattern over the whole name."""
    max_experiments: int = MAX_EXPERIMENTS
    jsonnet: JsonnetOptions = field(default_factory=JsonnetOptions)


@dataclass(frozen=True)
class RawGrid:
    """A grid as it was written and expanded."""

    configs: Mapping[str, dict[str, Any]]
    """Name -> config as written, overrides applied."""
    source: str
    """Where it stands, for error texts."""
    folder: Path
    """What its local paths are relative to."""
    warnings: tuple[str, ...] = ()
    executor: Any = None
    """What is written of the executor beside the configs; None where nothing is."""


@without_search_for_cycles()
def load_grid(grid: "str | Path | Mapping[str, Any] | list[Any]", options: GridOptions) -> RawGrid:
    """Evaluate, expand and override a grid.

    Args:
        grid: path of a Jsonnet or JSON file, or the value itself (its paths are relative to the working directory).
        options: what the command line adds.

    Raises:
        UserError: the file cannot be evaluated, or is no grid.
    """
    if isinstance(grid, str | Path):
        path = Path(grid)
        value, source, stem, folder = evaluate_jsonnet(path, options.jsonnet), str(path), path.stem, path.parent
    else:
        value, source, stem, folder = grid, PYTHON_SOURCE, PYTHON_SOURCE, Path.cwd()
    warnings: list[str] = []
    configs = expand(value, stem, options.only, options.max_experiments, warnings.append)
    configs = apply_overrides(configs, [parse_override(text) for text in options.overrides], warnings.append)
    if options.random_seed is not None:
        configs, filled = fill_seed(configs, options.random_seed)
        if not filled:
            warnings.append(f"--random-seed {options.random_seed} has no effect: every experiment has its own seed")
    executor = value.get("executor") if isinstance(value, Mapping) and "configs" in value else None
    return RawGrid(configs, source, folder.resolve(), tuple(warnings), executor)


def load_one(grid: str | Path | Mapping[str, Any] | list[Any], options: GridOptions) -> RawGrid:
    """The one config of a grid.

    Raises:
        UserError: it holds several, or none.
    """
    loaded = load_grid(grid, options)
    name, config = only_one(loaded.configs)
    return dataclasses.replace(loaded, configs={name: config})
