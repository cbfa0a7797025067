"""What a report format is, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sft.leaderboard.board import Leaderboard
from sft.reporting.tables.columns import BoardTable, board_table


@dataclass(frozen=True)
class Report:
    """A leaderboard as formats write it.

    Attributes:
        record: the content of `leaderboard.json`, made once for all formats; numbers are printed from it.
        leaderboard: what the record is made of, with the files of the experiments.
    """

    record: Mapping[str, Any]
    leaderboard: Leaderboard

    @cached_property
    def tables(self) -> tuple[BoardTable, ...]:
        """The experiments of each board, made once for all formats."""
        return tuple(map(board_table, self.leaderboard.boards))


@dataclass(frozen=True)
class ReportFormat:
    """A way to write a leaderboard.

    Attributes:
        ending: of the file `leaderboard.<ending>`.
        render: the file's whole text.
    """

    ending: str
    render: Callable[[Report], str]


def of_board(record: Mapping[str, Any], part: str, board: str) -> list[Mapping[str, Any]]:
    """The entries of `rows`, `baselines` or `baselines_left_out` that stand on a board.

    Args:
        record: the content of `leaderboard.json`.
        part: its key.
        board: the id.
    """
    return [entry for entry in record.get(part, []) if entry["board"] == board]
