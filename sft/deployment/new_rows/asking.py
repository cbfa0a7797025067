"""Answers a file of new rows with a finished experiment of a results folder."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sft.calibration.selection import calibrator_of
from sft.config.dataset import ReadOptions
from sft.data.files.reading import of_use
from sft.data.sources import file_split
from sft.data.streaming import NewRowsFile
from sft.deployment.new_rows.answers_file import whole_lines
from sft.deployment.new_rows.finished import FinishedExperiment
from sft.deployment.new_rows.origin import Origin, check_output, origin_in_force, output_beside
from sft.deployment.new_rows.running import run_process
from sft.exceptions import DataError, UserError
from sft.registry import is_own_code
from sft.runs.manifest import sha256_of
from sft.tasks.inputs import task_of
from sft.wording import counted

Say = Callable[[str], None]


@dataclass(frozen=True)
class NewAnswers:
    """What became of a file of new rows."""

    output: Path
    """Where the answers are, one JSON object per row."""
    experiment: str
    """Name and beginning of the id of the experiment that answered."""
    n_rows: int
    """Rows that are answered in a finished file."""
    n_before: int
    """Those that were answered before, by a run that was stopped."""
    n_dropped: int
    """Rows left out because of empty cells."""
    seconds: float
    stopped_by: signal.Signals | None = None
    """The signal that ended it early."""


def answer_file(
    experiment: FinishedExperiment, new_rows: Path, output: Path | None, read: Mapping[str, Any], say: Say
) -> NewAnswers:
    """Answer the rows of a file that have no answer yet.

    Args:
        experiment: answers them; its files are whole.
        new_rows: the file.
        output: where the answers go; None: beside the file.
        read: how the file is read, over what the experiment says of its own.
        say: shows a line.

    Raises:
        UserError: file, columns, cells or output are not as they must be; nothing is started then.
        SftError: the process that answers failed.
    """
    began = time.monotonic()
    if not new_rows.is_file():
        raise UserError(f"--input {new_rows}: no such file", kind="data")
    output = output_beside(new_rows) if output is None else output
    check_output(output, new_rows)
    output = output.absolute()
    origin = origin_in_force(output, _origin(experiment, new_rows, read))
    before = whole_lines(output, origin.rows_at_once, origin.n_rows)
    stopped_by = None
    if before < origin.n_rows:
        for note in _notes(experiment):
            say(f"note: {note}")
        stopped_by = run_process(output, origin, experiment.inference.get("memory_step", 0), say)
    seconds = time.monotonic() - began
    return NewAnswers(output, experiment.title, origin.n_rows, before, origin.n_dropped, seconds, stopped_by)


def _origin(experiment: FinishedExperiment, new_rows: Path, read: Mapping[str, Any]) -> Origin:
    """What answers to a file are made from; all of the file is read for it."""
    record, dataset = experiment.record, experiment.record.experiment.dataset
    options = _read_options(of_use(new_rows, file_split(new_rows).format, dataset.read), read)
    prompting = record.experiment.inference_prompting
    columns = tuple(dict.fromkeys(prompting.input_columns))
    is_whole = task_of(record.experiment).reads == "whole"
    conversation = prompting.output_column if prompting.output_column in columns and not is_whole else None
    file = NewRowsFile(new_rows, options, columns, dataset.on_missing, conversation)
    sha256 = sha256_of(new_rows)
    try:
        counts = file.checked()
    except DataError as error:
        if "dataset.read" not in str(error):
            raise
        raise DataError(f"{error}; with --input as --set dataset.read.KEY=VALUE") from None
    return Origin(
        experiment=record.key,
        name=record.name,
        folder=str(experiment.folder.path.absolute()),
        input=str(new_rows.absolute()),
        sha256=sha256,
        columns=list(columns),
        on_missing=dataset.on_missing,
        read=options.model_dump(),
        n_rows=counts.kept,
        n_dropped=counts.dropped,
        conversation=conversation,
    )


def _read_options(own: ReadOptions, given: Mapping[str, Any]) -> ReadOptions:
    try:
        return ReadOptions(**{**own.model_dump(), **given})
    except ValidationError as error:
        fault = error.errors()[0]
        known = ", ".join(ReadOptions.model_fields)
        key = ".".join(map(str, fault["loc"]))
        told = "unknown key" if fault["type"] == "extra_forbidden" else f"{fault['input']!r}: {fault['msg']}"
        raise UserError(f"dataset.read.{key}: {told} (keys: {known})") from None


def _notes(experiment: FinishedExperiment) -> Iterator[str]:
    """What a reader of the answers must know."""
    config = experiment.record.experiment
    if config.draws_examples_per_row and config.inference.icl_selection == "random":
        yield "each row is shown training rows of its own, drawn by its place in the file, as test rows were"
    name = config.calibration
    looks_at_all = not is_own_code(name) and calibrator_of(name, Path()).uses_evaluated_rows
    if looks_at_all:
        rows = counted(len(experiment.inference.get("examples", {}).get("test", ())), "test row")
        yield f"{name} takes off what it found in the experiment's {rows}, and looks at none of these"
