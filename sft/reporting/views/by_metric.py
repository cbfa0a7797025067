"""The boards ranked by another of their results."""

from dataclasses import replace

from sft.errors import UserError
from sft.evaluation.rows import DEV
from sft.registry import unknown_name
from sft.reporting.board import Board, Leaderboard, direction


def by_metric(leaderboard: Leaderboard, metric: str) -> Leaderboard:
    """The boards ranked by `metric` in its own direction, without groups; one that lacks it stays and says so.

    Args:
        leaderboard: boards ranked by their own metrics.
        metric: a key of `results`, also a `dev_` one.

    Raises:
        UserError: no board has such a result.
    """
    known = {name for board in leaderboard.boards for name in _names(board)}
    if leaderboard.boards and metric not in known:
        raise UserError(f"--metric: {unknown_name('result', metric, known)}")
    return replace(leaderboard, boards=tuple(_ranked(board, metric) for board in leaderboard.boards))


def _ranked(board: Board, metric: str) -> Board:
    if metric not in _names(board):
        return replace(board, warnings=(f"no result here is called {metric}", *board.warnings))
    owner = next(record for record in board.records if metric in record.part("results"))
    dev = f"{DEV}{metric}"
    warnings = board.warnings
    if dev in _names(board):
        warnings = (f"ranked on the test rows, though there are dev rows: choose by {dev}", *warnings)
    return replace(board.ranked_by(metric, higher=direction(owner, metric)), warnings=warnings)


def _names(board: Board) -> list[str]:
    return list(dict.fromkeys(name for record in board.records for name in record.part("results")))
