"""The commands that run nothing: plan, inspect, leaderboard, schema, methods."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sft.cli.arguments import Config, Grid, Results, reads_grid

RESULTS = Path("results")


@reads_grid
def plan(
    grid: Grid,
    *,
    why: Annotated[
        bool, typer.Option("--why", help="Tell which keys differ from the nearest finished stage.")
    ] = False,
    results_path: Results = RESULTS,
    options: Any,
) -> None:
    """Expand and check a grid; show what would run, is shared, is done, and every default in force."""
    from sft import api
    from sft.experiments.plan_view import plan_lines
    from sft.runs.files import ResultsFolder

    checked = api.plan(grid, options, results_path)
    _print("\n".join(plan_lines(checked, ResultsFolder(results_path.resolve()), why=why)))


@reads_grid
def inspect(
    config: Config,
    *,
    rows: Annotated[int, typer.Option(min=1, help="Rows of each split.")] = 5,
    json_: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    lm_eval: Annotated[
        Path | None,
        typer.Option("--lm-eval", metavar="DIR", help="Also write the test rows as a task for lm-evaluation-harness."),
    ] = None,
    results_path: Results = RESULTS,
    options: Any,
) -> None:
    """Show rows of each split as the model will see them: text, ids, loss mask, cuts, labels, cost."""
    from sft import api
    from sft.cli.inspection import inspection_text, wants_colour

    found = api.inspect(config, rows, options, results_path, lm_eval)
    _print(json.dumps(found) if json_ else inspection_text(found, colour=wants_colour(sys.stdout)))


def leaderboard(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="One or several results folders.")],
    to: Annotated[Path | None, typer.Option(help="Folder to write to; needed when several are joined.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Intervals and tests of all groups; else of the 50 best of each board.")
    ] = False,
) -> None:
    """Rebuild the leaderboard files of results folders."""
    from sft import api
    from sft.cli.board import board_text
    from sft.runs.files import ResultsFolder
    from sft.runs.records import read_json_or_none

    written = ResultsFolder(api.leaderboard(results, to, full=full))
    _print(board_text(read_json_or_none(written.leaderboard("json"))))
    _print(str(written.leaderboard("md")))


def schema() -> None:
    """Print the JSON Schema of a config."""
    from sft import api

    _print(json.dumps(api.schema(), indent=2))


def methods() -> None:
    """List adapters, initialisers, metrics and tasks with what each supports."""
    from sft import api

    _print(api.methods())


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
