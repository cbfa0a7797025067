"""The commands that look after a results folder: status, logs, verify, clean."""

from typing import Annotated

import typer

from sft.cli.arguments import Results
from sft.cli.options import Json
from sft.runs.files import DEFAULT_RESULTS
from sft.terminal.streams import show, show_json


def status(results_path: Results = DEFAULT_RESULTS, json_: Json = False) -> None:
    """Show how a results folder stands: counts by state, what runs, what failed and why, what the next run does."""
    from sft import api

    if json_:
        show_json(api.status_record(results_path))
    else:
        show("\n".join(api.status(results_path)))


def logs(
    experiment: Annotated[str, typer.Argument(metavar="ID", help="A name, the beginning of an id, or `best`.")],
    results_path: Results = DEFAULT_RESULTS,
    lines: Annotated[int, typer.Option(min=0, help="Lines of each log.")] = 20,
) -> None:
    """Show the tries of every stage of an experiment: states, paths of the logs, the end of the last one."""
    from sft import api

    show("\n".join(api.logs(experiment, results_path, lines)))


def verify(results_path: Results = DEFAULT_RESULTS, json_: Json = False) -> None:
    """Compare result files with their manifests, metrics with the predictions; exit 1 when one differs."""
    from sft import api
    from sft.experiments.upkeep.folder_record import verification_record
    from sft.terminal.status import verification_lines

    verified = api.verify(results_path)
    if json_:
        show_json(verification_record(verified))
    else:
        show("\n".join(verification_lines(verified)))
    if verified.damaged:
        raise typer.Exit(1)


def clean(
    results_path: Results = DEFAULT_RESULTS,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; else it is only shown.")] = False,
    adapters: Annotated[
        bool, typer.Option("--adapters", help="Also adapters whose experiments are all done.")
    ] = False,
) -> None:
    """Show what the folder's grid does not need, with sizes, and with --yes delete it."""
    from sft import api

    show("\n".join(api.clean(results_path, delete=yes, adapters=adapters)))
