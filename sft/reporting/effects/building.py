"""All statistics of one board: its groups beside the best, and what the axes of its grid change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sft.evaluation.rows import DEV
from sft.reporting.collect import ExperimentRecord
from sft.reporting.comparison import ComparedGroups, compared, with_statistics_of
from sft.reporting.effects.axis import grid_rows
from sft.reporting.effects.calibration import calibration_gains, has_calibrator
from sft.reporting.effects.choice import RunBudget
from sft.reporting.effects.curve_points import learning_curves
from sft.reporting.effects.curves import planned_curves
from sft.reporting.effects.main_effects import main_effects
from sft.reporting.effects.pareto import pareto_fronts
from sft.reporting.effects.planned import planned_effects
from sft.reporting.effects.records import Effects
from sft.reporting.effects.runs import BoardRuns
from sft.reporting.groups import Group
from sft.reporting.samples import run_samples


@dataclass(frozen=True)
class BoardNumbers:
    """Groups with their statistics, and effects."""

    compared: ComparedGroups
    effects: Effects


def board_numbers(
    groups: Sequence[Group], records: Sequence[ExperimentRecord], metric: str | None, *, higher: bool, full: bool
) -> BoardNumbers:
    """All statistics of a board; every run is sampled at most once.

    Args:
        groups: of the board, best first.
        records: its rows, in the grid's order.
        metric: by which it ranks, in its dev form where it ranks on dev rows; None where no number does.
        higher: whether more of it is better.
        full: intervals of everything; else of the best groups, and of as many effects as a few hundred runs give.
    """
    if metric is None:
        return BoardNumbers(ComparedGroups(tuple(groups), None), Effects())
    budget = RunBudget(full=full)
    planned = [
        replace(effect, has_interval=budget.takes(effect.runs())) for effect in planned_effects(grid_rows(records))
    ]
    curves = planned_curves(groups)
    curves_sampled = [curve for curve in curves if budget.takes(_ids(curve.groups))]
    gains_sampled = [group for group in groups if has_calibrator(group) and budget.takes(_ids([group]))]
    runs = BoardRuns.of(groups, run_samples(_sampled(groups, budget, full=full), metric.removeprefix(DEV)))
    effects = Effects(
        main_effects(planned, runs),
        learning_curves(curves, runs, curves_sampled),
        calibration_gains(groups, runs, gains_sampled),
        pareto_fronts(groups, metric, higher=higher),
    )
    return BoardNumbers(compared(groups, runs.samples, full=full), effects)


def _ids(groups: Sequence[Group]) -> list[str]:
    return [run.id for group in groups for run in group.runs]


def _sampled(groups: Sequence[Group], budget: RunBudget, *, full: bool) -> list[ExperimentRecord]:
    """The runs of the groups that are compared, and those of effects."""
    compared_runs = [run for group in with_statistics_of(groups, full=full) for run in group.runs]
    return [*compared_runs, *(run for group in groups for run in group.runs if run.id in budget.runs)]
