"""A leaderboard of results folders: ranked, and with all its statistics."""

import contextlib
import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sft.evaluation.rows import DEV
from sft.leaderboard.board import Board, Leaderboard, leading_group, rank, with_groups
from sft.leaderboard.collect import ExperimentRecord, collect
from sft.leaderboard.effects.axes import grid_rows
from sft.leaderboard.effects.calibration_gains import calibration_gains, has_calibrator
from sft.leaderboard.effects.learning_curves import learning_curves, planned_curves
from sft.leaderboard.effects.main_effects import BoardRuns, main_effects, planned_effects
from sft.leaderboard.effects.pareto import pareto_fronts
from sft.leaderboard.groups import Group
from sft.leaderboard.statistics.comparison import compared, with_statistics_of
from sft.leaderboard.statistics.run_samples import run_samples
from sft.runs.files import ResultsFolder

MOST_RUNS = 250
"""So many are sampled for effects, curves and gains together, unless all are asked for: ten thousand take minutes."""


@contextlib.contextmanager
def without_search_for_cycles() -> Iterator[None]:
    """Many results are hundreds of thousands of maps without a cycle; searching them takes 40 % of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@without_search_for_cycles()
def build_leaderboard(folders: Sequence[ResultsFolder]) -> Leaderboard:
    """The boards of results folders as they stand now.

    Raises:
        UserError: a folder is not there.
    """
    return rank(collect(folders))


def leading_id(results: ResultsFolder) -> str | None:
    """The id of the best-ranked run of the group that leads the first board; None while no number ranks.

    A single lucky seed of another group may have a better number; the group's mean decides.
    """
    leaderboard = build_leaderboard([results])
    groups = (leading_group(with_groups(board, leaderboard.without_result)) for board in leaderboard.boards)
    return next((group.runs[0].id for group in groups if group is not None), None)


def with_statistics(leaderboard: Leaderboard, *, full: bool = False) -> Leaderboard:
    """The boards with their groups, intervals, comparisons and effects.

    Args:
        leaderboard: of boards without.
        full: intervals of everything; else of the best groups of each board and of a few hundred runs' effects.
    """
    boards = (_complete(with_groups(board, leaderboard.without_result), full=full) for board in leaderboard.boards)
    return replace(leaderboard, boards=tuple(boards))


class _RunBudget:
    """Takes whole effects, curves and groups while their runs together are few enough.

    The choice follows the order of the grid and how many runs each one has, and no result: intervals of the best
    ones alone would be too good, and their p would be corrected for too few.
    """

    def __init__(self, *, full: bool) -> None:
        self.most = None if full else MOST_RUNS
        self.runs: dict[str, None] = {}

    def takes(self, runs: Iterable[str]) -> bool:
        """Whether all of these runs are sampled; they then count."""
        more = {**self.runs, **dict.fromkeys(runs)}
        if self.most is not None and len(more) > self.most:
            return False
        self.runs = more
        return True


def _complete(board: Board, *, full: bool) -> Board:
    """A board with groups and all its statistics; every run is sampled at most once."""
    groups, metric = board.groups, board.metric
    if metric is None:
        return board
    budget = _RunBudget(full=full)
    planned = [
        replace(effect, has_interval=budget.takes(effect.runs()))
        for effect in planned_effects(grid_rows(board.in_grid_order))
    ]
    curves = planned_curves(groups)
    curves_sampled = [curve for curve in curves if budget.takes(_ids(curve.groups))]
    gains_sampled = [group for group in groups if has_calibrator(group) and budget.takes(_ids([group]))]
    runs = BoardRuns.of(groups, run_samples(_sampled(groups, budget, full=full), metric.removeprefix(DEV)))
    beside = compared(groups, runs.samples, full=full)
    return replace(
        board,
        groups=beside.groups,
        statistics=beside.statistics,
        effects=main_effects(planned, runs),
        learning_curves=learning_curves(curves, runs, curves_sampled),
        calibration_gains=calibration_gains(groups, runs, gains_sampled),
        pareto=pareto_fronts(groups, metric, higher=board.higher_is_better),
    )


def _ids(groups: Sequence[Group]) -> list[str]:
    return [run.id for group in groups for run in group.runs]


def _sampled(groups: Sequence[Group], budget: _RunBudget, *, full: bool) -> list[ExperimentRecord]:
    """The runs of the groups that are compared, and those of effects."""
    compared_runs = [run for group in with_statistics_of(groups, full=full) for run in group.runs]
    return [*compared_runs, *(run for group in groups for run in group.runs if run.id in budget.runs)]
