"""Where and when results were made, for experiments and set-ups that their names do not tell apart."""

from collections.abc import Sequence

from sft.leaderboard.collect import ExperimentRecord
from sft.runs.files import ID_DIGITS, JobFolder
from sft.runs.records import read_status
from sft.wording import shown_path

NOT_IN_GRID = "not in this grid"

_TO_THE_MINUTE = len("2026-01-31T12:00")


def origin(records: Sequence[ExperimentRecord], *, names_folder: bool) -> str:
    """`results/monday, 2026-11-28 14:03 UTC, not in this grid`: as much of it as is asked for, known and true.

    Args:
        records: of one set-up and results folder, at least one.
        names_folder: whether other results folders are in question.
    """
    statuses = [read_status(JobFolder(record.folder).status) for record in records]
    ended = max((status.ended for status in statuses if status is not None and status.ended), default=None)
    parts = [shown_path(records[0].results_folder)] if names_folder else []
    parts += [] if ended is None else [f"{ended[:_TO_THE_MINUTE].replace('T', ' ')} UTC"]
    return ", ".join(parts if records[0].in_grid else [*parts, NOT_IN_GRID])


def told_apart(records: Sequence[ExperimentRecord]) -> list[str]:
    """The names of experiments; where several have one, and where one is in no grid any more, with their origin.

    Args:
        records: of a board.
    """
    alike: dict[str, dict[str, ExperimentRecord]] = {}
    for record in records:
        alike.setdefault(record.name, {})[record.id] = record
    names = []
    for record in records:
        others = alike[record.name].values()
        folders = {other.results_folder for other in others} if len(others) > 1 else set()
        if len(folders) > 1 or not record.in_grid:
            names.append(f"{record.name} ({origin([record], names_folder=len(folders) > 1)})")
        else:
            names.append(record.name if len(others) == 1 else f"{record.name} [{record.id[:ID_DIGITS]}]")
    return names
