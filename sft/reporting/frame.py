"""The leaderboard as a pandas table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas

from sft.reporting.board import Board
from sft.reporting.collect import ExperimentRecord
from sft.reporting.leaderboard import build_leaderboard
from sft.runs.files import ResultsFolder


def results_frame(folders: Sequence[Path]) -> pandas.DataFrame:
    """One row per experiment, best first on each board: its metrics, settings by dotted key, seconds and resources.

    Raises:
        UserError: a folder is not there.
    """
    leaderboard = build_leaderboard([ResultsFolder(folder) for folder in folders])
    rows = [_frame_row(row.record, board, row.rank) for board in leaderboard.boards for row in board.rows]
    rows += [_frame_row(record, None, None) for record in leaderboard.without_result]
    return pandas.DataFrame(rows, columns=None if rows else ["name", "id", "state", "board", "rank"])


def _frame_row(record: ExperimentRecord, board: Board | None, place: int | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": record.name,
        "id": record.id,
        "state": record.state,
        "board": board.id if board else None,
        "rank": place,
    }
    parts = (
        record.part("results"),
        record.settings,
        {f"seconds.{stage}": seconds for stage, seconds in record.part("timing").items()},
        record.part("resources"),
        {"error": f"{record.error.kind}: {record.error.message}" if record.error else None},
    )
    for part in parts:
        for key, value in part.items():
            row.setdefault(key, value)
    return {_storable(key): _storable(value) for key, value in row.items()}


def _storable(value: Any) -> Any:
    """Text that pandas can hold: lone surrogates, which JSON can bring in, as their escapes."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
