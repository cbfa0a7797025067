"""The commands that show rows of one experiment: errors."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sft.cli.arguments import Results
from sft.cli.options import Json
from sft.exceptions import UserError
from sft.runs.files import DEFAULT_RESULTS
from sft.terminal.streams import show, show_json, write_err

if TYPE_CHECKING:
    from sft.leaderboard.details.error_list import ErrorList
    from sft.leaderboard.details.suspects import SuspectList


def errors(
    experiment: Annotated[str, typer.Argument(metavar="ID", help="A name, the beginning of an id, or `best`.")],
    results_path: Results = DEFAULT_RESULTS,
    gold: Annotated[str | None, typer.Option(metavar="LABEL", help="Only rows with this gold label.")] = None,
    said: Annotated[str | None, typer.Option(metavar="LABEL", help="Only rows for which this was predicted.")] = None,
    split: Annotated[str, typer.Option(metavar="test|dev", help="Which rows.")] = "test",
    n: Annotated[
        int | None, typer.Option("-n", metavar="N", min=1, help="At most N rows; default 10, with --json all.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all of the rows there, as CSV.")] = None,
    suspect: Annotated[
        bool, typer.Option("--suspect", help="Rows that all leading set-ups contradict: the gold may be wrong.")
    ] = False,
    json_: Json = False,
) -> None:
    """Show the wrong rows of an experiment, the surest first: text, gold, prediction, probabilities."""
    from sft import api
    from sft.reporting.error_rows import error_record, suspect_record
    from sft.terminal.error_rows import SHOWN, error_text, suspect_text
    from sft.terminal.screen import screen_of
    from sft.wording import counted, shown_path

    found: ErrorList | SuspectList
    if suspect:
        if gold is not None or said is not None:
            raise UserError("--suspect is of all leading set-ups of a board: leave --gold and --said out")
        found = doubted = api.suspects(experiment, results_path, split=split, csv=csv)
        record, text = partial(suspect_record, doubted), partial(suspect_text, doubted)
    else:
        found = wrong = api.errors(experiment, results_path, gold=gold, said=said, split=split, csv=csv)
        record, text = partial(error_record, wrong), partial(error_text, wrong)
    if json_:
        show_json(record(n))
    else:
        show(text(n or SHOWN, screen_of(sys.stdout)))
    if csv is not None:
        write_err(f"{counted(len(found.rows), 'row')} written to {shown_path(csv.absolute())}\n")
