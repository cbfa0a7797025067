"""What a user wants to see of a leaderboard beside its files."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from sft.errors import UserError
from sft.reporting.baselines.building import baselines_of
from sft.reporting.board import Leaderboard, with_ranks
from sft.reporting.building import with_statistics
from sft.reporting.pair.comparing import Pair, compare_pair
from sft.reporting.views.by_metric import by_metric
from sft.reporting.views.combinations import Combinations, combinations, require_settings
from sft.runs.files import ResultsFolder


@dataclass(frozen=True)
class ViewRequest:
    """What is asked for.

    Attributes:
        metric: key of `results` to rank by; None: each board's own.
        group_by: dotted settings by which runs are put together.
        diff: the names of two experiments or groups.
    """

    metric: str | None = None
    group_by: tuple[str, ...] = ()
    diff: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if self.group_by and self.diff:
            raise UserError("--group-by and --diff are two views: give one of them")

    @property
    def is_plain(self) -> bool:
        """Whether nothing else than the leaderboard itself is asked for."""
        return self == ViewRequest()


@dataclass(frozen=True)
class LeaderboardView:
    """What is shown.

    Attributes:
        leaderboard: ranked as asked, with its statistics.
        combinations: of each board; empty unless asked for.
        pair: None unless asked for, and while nothing has a result.
    """

    leaderboard: Leaderboard
    combinations: tuple[Combinations, ...] = ()
    pair: Pair | None = None


def leaderboard_view(
    leaderboard: Leaderboard,
    folders: Sequence[ResultsFolder],
    to: ResultsFolder,
    request: ViewRequest,
    *,
    full: bool = False,
) -> LeaderboardView:
    """A leaderboard in the way that was asked for; nothing is written.

    Args:
        leaderboard: with its statistics and baselines.
        folders: the results folders, of which baselines may be known.
        to: the folder of their leaderboard, likewise.
        request: what is asked for.
        full: statistics of all groups; else of the best ones of each board.

    Raises:
        UserError: a metric, setting or name is not there, or two experiments cannot be compared.
    """
    if request.metric is not None:
        leaderboard = by_metric(leaderboard, request.metric)
    if request.group_by and leaderboard.boards:
        require_settings(request.group_by, [record for board in leaderboard.boards for record in board.records])
        found = tuple(combinations(board, request.group_by) for board in leaderboard.boards)
        return LeaderboardView(leaderboard, combinations=found)
    if request.diff is not None and leaderboard.boards:
        ranked = leaderboard if request.metric is None else with_ranks(leaderboard)
        return LeaderboardView(ranked, pair=compare_pair(ranked, *request.diff))
    if request.metric is not None:
        leaderboard = with_statistics(leaderboard, full=full)
        baselines = baselines_of(leaderboard.boards, folders, to, measures=False)
        leaderboard = dataclasses.replace(leaderboard, baselines=baselines)
    return LeaderboardView(leaderboard)
