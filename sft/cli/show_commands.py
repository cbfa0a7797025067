"""The commands that run nothing: new, plan, inspect, leaderboard, schema, methods."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sft.cli.arguments import Config, Grid, Results, reads_grid
from sft.cli.options import (
    All,
    Diff,
    Figures,
    Folders,
    Full,
    GroupBy,
    Json,
    Margin,
    Metric,
    NoTexts,
    Reuse,
    To,
    Top,
    Tracker,
)
from sft.exceptions import InvalidExperiments, UserError
from sft.runs.files import DEFAULT_RESULTS, ResultsFolder
from sft.terminal.streams import show, show_json, write_err

if TYPE_CHECKING:
    from sft.leaderboard.views.view import LeaderboardView
    from sft.reporting.files import WrittenLeaderboard


def new(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File, folder, saved data set or hub id.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--inputs", metavar="COLUMN,...", help="Columns that the model reads; repeatable."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that is predicted, or learned whole.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK_TYPE",
            help="Such as summarization or translation; default by what the label's column holds.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Hub name or folder; default a small one.")] = None,
) -> None:
    """Print a first grid for data: how it is read, labels, splits, and knobs as comments; it runs as it is."""
    from sft import api

    show(api.new(data, inputs or (), label, task=task, model=model))


@reads_grid
def plan(
    grid: Grid,
    *,
    why: Annotated[
        bool, typer.Option("--why", help="Tell which keys differ from the nearest finished stage.")
    ] = False,
    json_: Json = False,
    reuse: Reuse = None,
    results_path: Results = DEFAULT_RESULTS,
    options: Any,
) -> None:
    """Expand and check a grid; show what would run, is shared, is done, and every default in force."""
    from sft import api
    from sft.experiments.planning.plan_record import plan_record, refused_record
    from sft.experiments.reusing.other_results import other_results
    from sft.terminal.plan import plan_lines

    results = ResultsFolder(results_path.resolve())
    try:
        checked = api.plan(grid, options, results_path, reuse or ())
        others = other_results(reuse or (), results)
    except InvalidExperiments as error:
        if json_:
            show_json(refused_record(error, results))
        raise
    if json_:
        show_json(plan_record(checked, results, others, why=why))
    else:
        show("\n".join(plan_lines(checked, results, others, why=why)))


@reads_grid
def inspect(
    config: Config,
    *,
    rows: Annotated[int, typer.Option(min=1, help="Rows of each split.")] = 5,
    json_: Json = False,
    lm_eval: Annotated[
        Path | None,
        typer.Option("--lm-eval", metavar="DIR", help="Also write the test rows as a task for lm-evaluation-harness."),
    ] = None,
    results_path: Results = DEFAULT_RESULTS,
    options: Any,
) -> None:
    """Show rows of each split as the model will see them: text, ids, loss mask, cuts, labels, cost."""
    from sft import api
    from sft.terminal.inspection import inspection_text
    from sft.terminal.screen import wants_colour

    found = api.inspect(config, rows, options, results_path, lm_eval)
    show(json.dumps(found) if json_ else inspection_text(found, colour=wants_colour(sys.stdout)))


def leaderboard(
    results: Folders,
    to: To = None,
    all_: All = False,
    full: Full = False,
    margin: Margin = None,
    metric: Metric = None,
    group_by: GroupBy = None,
    diff: Diff = None,
    top: Top = None,
    json_: Json = False,
    no_texts: NoTexts = False,
    figures: Figures = None,
    tracker: Tracker = None,
) -> None:
    """Rebuild the leaderboard files of results folders, then show the ranking or another view of it."""
    from sft import api
    from sft.reporting.view_record import view_record

    request = api.ViewRequest(metric, _parts(group_by), diff)
    if top is not None and (diff is not None or json_):
        raise UserError(f"--top: {'--json has' if json_ else '--diff shows two and'} no table; leave one of them out")
    if tracker is not None:
        api.require_tracker(tracker)
    if full:
        write_err("note: --full changes nothing any more: all groups have intervals and tests\n")
    written = api.leaderboard(results, to, margin=margin, with_texts=not no_texts, figures=figures, everything=all_)
    view = None if request.is_plain else written.view(request)
    if json_:
        show_json(written.report.record if view is None else view_record(view, request))
    else:
        _show_board(written, view, top)
    if tracker is not None:
        done = written.track(tracker)
        write_err(f"{done}\n") if json_ else show(done)


def _show_board(written: "WrittenLeaderboard", view: "LeaderboardView | None", top: int | None) -> None:
    """The leaderboard, or another view of it, and where its files are."""
    from sft.terminal.board import board_text
    from sft.terminal.board.boards import view_text
    from sft.terminal.screen import screen_of

    screen = screen_of(sys.stdout)
    if view is None:
        text = board_text(written.report.record, screen.width, colour=screen.colour, top=top)
    else:
        text = view_text(view, screen, top)
    show(f"{text}\n{written.to.leaderboard('md')}\n{written.to.leaderboard('html')}")


def schema() -> None:
    """Print the JSON Schema of a config."""
    from sft import api

    show(json.dumps(api.schema(), indent=2))


def methods(
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Show which adapter methods train which kinds of stored weights.")
    ] = False,
    json_: Json = False,
) -> None:
    """List adapters, initialisers, metrics and tasks with what each supports."""
    from sft import api

    if json_:
        show_json({"matrix": api.matrix_record()} if matrix else api.methods_record())
    else:
        show(api.methods(matrix=matrix))


def _parts(written: list[str] | None) -> tuple[str, ...]:
    """The settings of an option that is repeated or holds commas, each once."""
    found = tuple(dict.fromkeys(part.strip() for text in written or [] for part in text.split(",")))
    if "" in found:
        raise UserError("--group-by: a setting is empty; write for example --group-by dataset.shots,lora.r")
    return found
