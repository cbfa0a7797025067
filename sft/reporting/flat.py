"""A leaderboard as flat rows: one per experiment, one column per number or setting."""

from collections.abc import Iterator
from typing import Any

from sft.reporting.board import Board, Leaderboard
from sft.reporting.collect import ExperimentRecord


def flat_rows(leaderboard: Leaderboard) -> Iterator[dict[str, Any]]:
    """Column -> value of each experiment of the grid, best first on each board, then those without a result.

    Columns are name, id, state, board and rank, then metrics by name, settings by dotted key, `seconds.<stage>`,
    resources and the error; the earlier one keeps a name that two of them have.
    """
    for board in leaderboard.boards:
        yield from (_flat(row.record, board, row.rank) for row in board.rows)
    yield from (_flat(record, None, None) for record in leaderboard.without_result)


def _flat(record: ExperimentRecord, board: Board | None, place: int | None) -> dict[str, Any]:
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
    return {storable(key): storable(value) for key, value in row.items()}


def storable(value: Any) -> Any:
    """Text that any file can hold: lone surrogates, which JSON can bring in, as their escapes."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def all_storable(value: Any) -> Any:
    """The same of every text in maps and lists."""
    if isinstance(value, dict):
        return {storable(key): all_storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [all_storable(item) for item in value]
    return storable(value)
