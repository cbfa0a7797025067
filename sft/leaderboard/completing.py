"""The statistics of a leaderboard: groups with intervals, comparisons, effects, curves, gains and fronts."""

from collections.abc import Sequence
from dataclasses import replace

from sft.evaluation.selection import DEV, range_of, step_of
from sft.leaderboard.board import Board, Leaderboard, with_groups
from sft.leaderboard.building import STATISTICS, StatisticsOptions
from sft.leaderboard.costs import costs_of
from sft.leaderboard.effects.axes import grid_rows
from sft.leaderboard.effects.calibration_gains import calibration_gains
from sft.leaderboard.effects.learning_curves import learning_curves, planned_curves
from sft.leaderboard.effects.main_effects import main_effects, planned_effects
from sft.leaderboard.effects.pareto import pareto_fronts
from sft.leaderboard.records import Baseline
from sft.leaderboard.statistics.against_baselines import with_baselines
from sft.leaderboard.statistics.comparer import Scale
from sft.leaderboard.statistics.comparison import BoardRuns, compared
from sft.leaderboard.statistics.run_samples import run_samples
from sft.leaderboard.statistics.slices import sliced_results
from sft.leaderboard.verdict import verdict_of

CLOSELY = 50
"""So many of a board's best set-ups are sampled row by row; of what lies behind them influences tell enough."""

MARGIN = 0.02
"""Of a metric's range: differences within it count as none unless the user says otherwise."""


def with_statistics(leaderboard: Leaderboard, options: StatisticsOptions = STATISTICS) -> Leaderboard:
    """The boards with their groups, intervals, comparisons and effects.

    Args:
        leaderboard: of boards without, with its baselines.
        options: of the statistics.
    """
    grouped = [with_groups(board, leaderboard.without_result) for board in leaderboard.boards]
    boards = (_complete(board, options, leaderboard.baselines.of(board.id)) for board in grouped)
    return replace(leaderboard, boards=tuple(boards))


def board_runs(board: Board, options: StatisticsOptions = STATISTICS, *, on_dev: bool = False) -> BoardRuns:
    """The runs of a board with groups, and how these are compared; every run is sampled once.

    Args:
        board: with groups.
        options: of the statistics.
        on_dev: by the dev rows that rank; else by the test rows.
    """
    metric = (board.metric or "").removeprefix("" if on_dev else DEV)
    runs = [run for group in board.groups for run in group.runs]
    closely = {run.id for group in board.groups[:CLOSELY] for run in group.runs}
    samples = run_samples(runs, metric, closely)
    details = board.records[0].part("details")
    step = step_of(metric, details, samples.n_rows) if samples.n_rows else 0.0
    scale = Scale(board.higher_is_better, options.margin, range_of(metric, details), step)
    if options.margin is None and scale.width is not None:
        scale = replace(scale, margin=MARGIN * scale.width)
    return BoardRuns.of(board.groups, samples, scale)


def _complete(board: Board, options: StatisticsOptions, baselines: Sequence[Baseline]) -> Board:
    """A board with groups and all its statistics."""
    groups, metric = board.groups, board.metric
    if metric is None:
        return board
    runs, has_dev = board_runs(board, options), metric.startswith(DEV)
    beside = compared(groups, runs, chosen_on_dev=has_dev)
    groups = with_baselines(beside.groups, baselines, runs)
    board = replace(board, groups=groups, statistics=beside.statistics)
    planned = planned_effects(grid_rows(board.in_grid_order))
    costs = {group.name: costs_of(group.runs) for group in groups}
    return replace(
        board,
        verdict=verdict_of(board, costs),
        effects=main_effects(planned, groups, runs),
        effects_dev=main_effects(planned, groups, board_runs(board, options, on_dev=True)) if has_dev else (),
        learning_curves=learning_curves(planned_curves(groups), runs),
        calibration_gains=calibration_gains(groups, runs),
        pareto=pareto_fronts(groups, costs, metric, higher=board.higher_is_better),
        slices=sliced_results(groups, runs.samples.metric, runs.comparer.scale),
    )
