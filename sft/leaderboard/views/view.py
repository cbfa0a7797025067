"""What a user wants to see of a leaderboard beside its files."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sft.evaluation.selection import DEV
from sft.exceptions import UserError
from sft.leaderboard.baselines.reading import baselines_of
from sft.leaderboard.board import Board, Leaderboard, direction, with_ranks
from sft.leaderboard.building import STATISTICS, StatisticsOptions
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.views.combinations import Combinations, combinations, require_settings
from sft.leaderboard.views.pair import Pair, compare_pair
from sft.registry import unknown_name
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
    options: StatisticsOptions = STATISTICS,
) -> LeaderboardView:
    """A leaderboard in the way that was asked for; nothing is written.

    Args:
        leaderboard: with its statistics and baselines.
        folders: the results folders, of which baselines may be known.
        to: the folder of their leaderboard, likewise.
        request: what is asked for.
        options: of the statistics.

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
        return LeaderboardView(ranked, pair=compare_pair(ranked, *request.diff, options))
    if request.metric is not None:
        baselines = baselines_of(leaderboard.boards, [*folders, to])
        leaderboard = with_statistics(dataclasses.replace(leaderboard, baselines=baselines), options)
    return LeaderboardView(leaderboard)


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
