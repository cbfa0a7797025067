"""A leaderboard of results folders: ranked, and with all its statistics."""

import contextlib
import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sft.evaluation.rows import DEV
from sft.evaluation.selection import range_of, step_of
from sft.leaderboard.board import Board, Leaderboard, leading_group, rank, with_groups
from sft.leaderboard.collect import collect
from sft.leaderboard.effects.axes import grid_rows
from sft.leaderboard.effects.calibration_gains import calibration_gains
from sft.leaderboard.effects.learning_curves import learning_curves, planned_curves
from sft.leaderboard.effects.main_effects import main_effects, planned_effects
from sft.leaderboard.effects.pareto import pareto_fronts
from sft.leaderboard.statistics.comparer import Scale
from sft.leaderboard.statistics.comparison import BoardRuns, compared
from sft.leaderboard.statistics.run_samples import run_samples
from sft.runs.files import ResultsFolder

MARGIN = 0.02
"""Of a metric's range: differences within it count as none unless the user says otherwise."""


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


def with_statistics(leaderboard: Leaderboard, *, full: bool = False, margin: float | None = None) -> Leaderboard:
    """The boards with their groups, intervals, comparisons and effects.

    Args:
        leaderboard: of boards without.
        full: bootstrap samples of all runs; else of those of the best groups of each board.
        margin: in the ranking metrics' own units; None: 2 % of each metric's range.
    """
    grouped = [with_groups(board, leaderboard.without_result) for board in leaderboard.boards]
    boards = (_complete(board, board_runs(board, full=full, margin=margin)) for board in grouped)
    return replace(leaderboard, boards=tuple(boards))


def board_runs(board: Board, *, full: bool = False, margin: float | None = None) -> BoardRuns:
    """The runs of a board with groups, and how these are compared; every run is sampled once.

    Args:
        board: with groups.
        full: as in `with_statistics`.
        margin: likewise.
    """
    metric = (board.metric or "").removeprefix(DEV)
    samples = run_samples([run for group in board.groups for run in group.runs], metric)
    details = board.records[0].part("details")
    step = step_of(metric, details, samples.n_rows) if samples.n_rows else 0.0
    scale = Scale(board.higher_is_better, margin, range_of(metric, details), step)
    if margin is None and scale.width is not None:
        scale = replace(scale, margin=MARGIN * scale.width)
    return BoardRuns.of(board.groups, samples, scale)


def _complete(board: Board, runs: BoardRuns) -> Board:
    """A board with groups and all its statistics."""
    groups, metric = board.groups, board.metric
    if metric is None:
        return board
    beside = compared(groups, runs, chosen_on_dev=metric.startswith(DEV))
    return replace(
        board,
        groups=beside.groups,
        statistics=beside.statistics,
        effects=main_effects(planned_effects(grid_rows(board.in_grid_order)), groups, runs),
        learning_curves=learning_curves(planned_curves(groups), runs),
        calibration_gains=calibration_gains(groups, runs),
        pareto=pareto_fronts(groups, metric, higher=board.higher_is_better),
    )
