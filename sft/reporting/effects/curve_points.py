"""The numbers of learning curves."""

from collections.abc import Sequence

from sft.reporting.comparison import group_interval
from sft.reporting.effects.curves import PlannedCurve, shots_of
from sft.reporting.effects.runs import BoardRuns
from sft.reporting.groups import Group, summary
from sft.reporting.records import CurvePoint, LearningCurve


def learning_curves(
    planned: Sequence[PlannedCurve], runs: BoardRuns, sampled: Sequence[PlannedCurve]
) -> tuple[LearningCurve, ...]:
    """The curves with their numbers, without those of which fewer than two groups have one.

    Args:
        planned: of one board.
        runs: of the board.
        sampled: those that get intervals.
    """
    found = (_curve(plan, runs, has_intervals=any(plan is other for other in sampled)) for plan in planned)
    return tuple(curve for curve in found if len(curve.points) > 1)


def _curve(planned: PlannedCurve, runs: BoardRuns, *, has_intervals: bool) -> LearningCurve:
    points = (_point(group, runs, has_interval=has_intervals) for group in planned.groups)
    known = tuple(point for point in points if point is not None)
    return LearningCurve(planned.name, planned.settings, runs.metric, known)


def _point(group: Group, runs: BoardRuns, *, has_interval: bool) -> CurvePoint | None:
    found = summary(group.runs, runs.metric)
    if found is None:
        return None
    is_known = has_interval and runs.samples.has_all(run.id for run in group.runs)
    interval = group_interval(group, runs.samples) if is_known else None
    return CurvePoint(
        shots=shots_of(group),
        n_train=_n_train(group),
        group=group.name,
        value=found.mean,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        n=found.n,
    )


def _n_train(group: Group) -> int | None:
    count = group.runs[0].part("data").get("n_train")
    return count if isinstance(count, int) else None
