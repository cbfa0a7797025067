"""`sft predict ID --input FILE`: new rows, answered by a finished experiment."""

import dataclasses
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.processes.signals import end_by
from sft.runs.files import DEFAULT_RESULTS
from sft.terminal.streams import write_err, write_out

if TYPE_CHECKING:
    from sft.experiments.grids.loading import GridOptions

READ = ("dataset", "read")


def predict_new_rows(
    experiment: str, new_rows: Path, output: Path | None, results_path: Path | None, options: "GridOptions"
) -> None:
    """Answer the rows, say how it ended, and print where the answers are; a stopped run ends by its signal."""
    from sft import api
    from sft.wording import counted, duration, shown_path

    answers = api.predict_new(
        experiment, new_rows, output, results_path or DEFAULT_RESULTS, read=_read_options(options)
    )
    if answers.stopped_by is not None:
        write_err(f"stopped; the same command goes on with {shown_path(answers.output)}\n")
        end_by(signal.SIGINT if answers.stopped_by == signal.SIGINT else signal.SIGTERM)
    before = f", {answers.n_before:,} of them before" if answers.n_before else ""
    dropped = f"; {counted(answers.n_dropped, 'row')} with empty cells left out" if answers.n_dropped else ""
    rows = f"{answers.n_rows:,} {'row' if answers.n_rows == 1 else 'rows'}"
    write_err(f"{answers.experiment} answered {rows}{before}{dropped}; {duration(answers.seconds)}\n")
    write_out(f"{shown_path(answers.output)}\n")


def _read_options(options: "GridOptions") -> dict[str, Any]:
    """What `--set dataset.read.KEY=VALUE` says; all other options of a config change what an experiment was.

    Raises:
        UserError: one of those is given.
    """
    from sft.config.overrides import parse_override
    from sft.experiments.grids.loading import GridOptions

    overrides = [parse_override(text) for text in options.overrides]
    others = [".".join(item.path) for item in overrides if item.path[:2] != READ or len(item.path) != 3]
    default = GridOptions()
    others += [
        f"--{item.name.replace('_', '-')}"
        for item in dataclasses.fields(options)
        if item.name != "overrides" and getattr(options, item.name) != getattr(default, item.name)
    ]
    if others:
        raise UserError(
            f"{others[0]}: with --input the experiment is what it was when it ran; only --set dataset.read.KEY=VALUE "
            "(encoding, sep, quote, field, sheet: how the file is read) goes with it"
        )
    return {item.path[2]: item.value for item in overrides}
