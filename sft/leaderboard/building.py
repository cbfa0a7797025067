"""A leaderboard of results folders, ranked; what it reads and imports is all that a grid under way waits for."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from sft.exceptions import UserError
from sft.leaderboard.board import Leaderboard, leading_group, rank, with_groups
from sft.leaderboard.joining import collect
from sft.processes.garbage import without_search_for_cycles
from sft.runs.files import ResultsFolder


@without_search_for_cycles()
def build_leaderboard(
    folders: Sequence[ResultsFolder], *, keeps: bool = False, everything: bool = False
) -> Leaderboard:
    """The boards of results folders as they stand now.

    Args:
        folders: the results folders.
        keeps: whether what is read is written to their caches, so that the next time costs what is new.
        everything: whether experiments that stand in no grid any more are on the boards too.

    Raises:
        UserError: a folder is not there.
    """
    return rank(collect(folders, keeps=keeps, everything=everything))


def leading_id(results: ResultsFolder) -> str | None:
    """The id of the best-ranked run of the group that leads the first board; None while no number ranks.

    A single lucky seed of another group may have a better number; the group's mean decides.
    """
    leaderboard = build_leaderboard([results])
    groups = (leading_group(with_groups(board, leaderboard.without_result)) for board in leaderboard.boards)
    return next((group.runs[0].id for group in groups if group is not None), None)


@dataclass(frozen=True)
class StatisticsOptions:
    """How a board's statistics are made.

    Attributes:
        margin: differences within it count as none, in the ranking metric's own units; None: 2 % of its range.
    """

    margin: float | None = None

    def __post_init__(self) -> None:
        if self.margin is not None and not 0 < self.margin < inf:
            raise UserError(f"--margin: {self.margin:g} is no number above 0; write it in the metric's own units")


STATISTICS = StatisticsOptions()
