"""Where a training is asked for only because other rows are to be answered: a finished one can answer them."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
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


def new_rows_hints(
    trainings: Mapping[str, Mapping[str, Any]], finished: Iterable[JobRecord], results: ResultsFolder
) -> dict[str, str]:
    """Name -> command, of each training that differs from a finished one only in a file with evaluated rows in it.

    Args:
        trainings: name -> what its key is made of, of those that would run.
        finished: the finished trainings.
        results: where these lie.
    """
    known: dict[frozenset[tuple[str, str]], list[JobRecord]] = {}
    for record in finished:
        known.setdefault(_beside_rows(record.key_fields), []).append(record)
    hints = {}
    for name, fields in trainings.items():
        alike = known.get(_beside_rows(fields), ())
        like = next((record for record in alike if only_rows_differ(record.key_fields, fields)), None)
        if like is not None:
            hints[name] = _command(like.name, results)
    return hints


def _beside_rows(fields: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """What is equal in trainings of which only rows differ; by it the few that may be alike are found among many."""
    return frozenset(item for item in leaves(fields).items() if not item[0].startswith(ROWS) and item[0] != COLUMNS)


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
