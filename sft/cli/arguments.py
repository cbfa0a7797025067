"""Arguments and options that several commands share."""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sft.exceptions import UserError

if TYPE_CHECKING:
    from sft.experiments.grids.loading import GridOptions

Grid = Annotated[Path, typer.Argument(metavar="GRID", help="Jsonnet or JSON file: a grid, a list, or one config.")]
Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="Jsonnet or JSON file; a grid with --only NAME.")]
Results = Annotated[Path, typer.Option("--results-path", help="Folder the results go to.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set dotted.key=value (JSON, else text).")
]
RandomSeed = Annotated[int | None, typer.Option(help="Fills `seed` where the config has none.")]
Only = Annotated[str | None, typer.Option(metavar="PATTERN", help="Shell pattern over the whole name.")]
MaxExperiments = Annotated[int | None, typer.Option(help="Allow grids of more than 10,000 experiments.")]
GridTimeout = Annotated[float, typer.Option(help="Seconds the evaluation of the grid may take.")]
ExtStr = Annotated[list[str] | None, typer.Option("--ext-str", metavar="K=V", help="External variable, text.")]
ExtCode = Annotated[list[str] | None, typer.Option("--ext-code", metavar="K=V", help="External variable, Jsonnet.")]
TlaStr = Annotated[list[str] | None, typer.Option("--tla-str", metavar="K=V", help="Top-level argument, text.")]
TlaCode = Annotated[list[str] | None, typer.Option("--tla-code", metavar="K=V", help="Top-level argument, Jsonnet.")]
Jpath = Annotated[list[Path] | None, typer.Option("--jpath", metavar="DIR", help="Folder that may be imported from.")]

DEFAULT_TIMEOUT = 60.0


def pairs(written: list[str] | None, option: str) -> dict[str, str]:
    """`K=V` options as a map.

    Raises:
        UserError: one has no `=`.
    """
    found = {}
    for text in written or []:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UserError(f"{option} {text!r}: must be KEY=VALUE")
        found[key] = value
    return found


_SHARED: dict[str, tuple[Any, Any]] = {
    "set_": (Set, None),
    "random_seed": (RandomSeed, None),
    "only": (Only, None),
    "max_experiments": (MaxExperiments, None),
    "grid_timeout": (GridTimeout, DEFAULT_TIMEOUT),
    "ext_str": (ExtStr, None),
    "ext_code": (ExtCode, None),
    "tla_str": (TlaStr, None),
    "tla_code": (TlaCode, None),
    "jpath": (Jpath, None),
}


def reads_grid(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of everything that reads a grid; it gets them as one `options: GridOptions`."""
    own = {name: item for name, item in inspect.signature(command).parameters.items() if name != "options"}
    shared = {
        name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _SHARED.items()
    }

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        given = {name: values.pop(name) for name in _SHARED}
        command(**values, options=_grid_options(given))

    parameters = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own.values()]
    with_options.__signature__ = inspect.Signature([*parameters, *shared.values()])  # type: ignore[attr-defined]
    with_options.__annotations__ = {item.name: item.annotation for item in [*parameters, *shared.values()]}
    return with_options


def _grid_options(given: Mapping[str, Any]) -> "GridOptions":
    from sft.experiments.grids.expand import MAX_EXPERIMENTS
    from sft.experiments.grids.jsonnet import JsonnetOptions
    from sft.experiments.grids.loading import GridOptions

    return GridOptions(
        overrides=tuple(given["set_"] or ()),
        random_seed=given["random_seed"],
        only=given["only"],
        max_experiments=given["max_experiments"] or MAX_EXPERIMENTS,
        jsonnet=JsonnetOptions(
            ext_str=pairs(given["ext_str"], "--ext-str"),
            ext_code=pairs(given["ext_code"], "--ext-code"),
            tla_str=pairs(given["tla_str"], "--tla-str"),
            tla_code=pairs(given["tla_code"], "--tla-code"),
            jpath=tuple(given["jpath"] or ()),
            timeout_s=given["grid_timeout"],
        ),
    )
