"""Where a training is asked for only because other rows are to be answered: a finished one can answer them."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from sft.pipeline.differences import leaves
from sft.runs.files import DEFAULT_RESULTS, ResultsFolder
from sft.runs.manifest import is_done
from sft.runs.records import JobRecord, read_job
from sft.wording import shown_path

ROWS = ("reading.content.", "reading.splits.", "reading.args.", "reading.read.")
"""Fields of a key that say which rows are read, and from where."""
COLUMNS = "reading.columns"
"""Those that are used; in a key only where they choose rows, as where shares cut a file."""
CUT_FILE = "reading.content.all"
"""The content of a file that shares cut, in which evaluated rows stand beside those that are trained on."""


def new_rows_hints(trainings: Mapping[str, Mapping[str, Any]], results: ResultsFolder) -> dict[str, str]:
    """Name -> command, of each training that differs from a finished one only in a file with evaluated rows in it.

    Args:
        trainings: name -> what its key is made of, of those that would run.
        results: where finished ones lie.
    """
    finished = list(finished_trainings(results)) if trainings else []
    hints = {}
    for name, fields in trainings.items():
        like = next((record for record in finished if only_rows_differ(record.key_fields, fields)), None)
        if like is not None:
            hints[name] = _command(like.name, results)
    return hints


def only_rows_differ(fields: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two trainings are alike but for a file with evaluated rows in it."""
    one, other = leaves(fields), leaves(others)
    differing = {name for name, _ in one.items() ^ other.items()}
    if COLUMNS not in one or COLUMNS not in other:
        differing -= {COLUMNS}
    is_cut = CUT_FILE in one or CUT_FILE in other
    return is_cut and bool(differing) and all(name.startswith(ROWS) for name in differing)


def _command(name: str, results: ResultsFolder) -> str:
    """The command that answers new rows with an experiment of a results folder."""
    place = shown_path(results.path)
    folder = "" if place == str(DEFAULT_RESULTS) else f" --results-path {shlex.quote(place)}"
    return f"sft predict {shlex.quote(name)} --input FILE{folder}"


def finished_trainings(results: ResultsFolder) -> Iterator[JobRecord]:
    """The finished trainings that say what their keys were made of, but those of folds, which answer no new rows."""
    for folder in results.job_folders("train"):
        try:
            record = read_job(folder.job)
        except (OSError, ValueError, TypeError):
            continue
        if record.key_fields and record.fold is None and is_done(folder):
            yield record
