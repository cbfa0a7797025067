"""Calibration gains: the metric of a group with its calibrator, less that of the same runs without it."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from sft.evaluation.selection import UNCALIBRATED
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.effects.main_effects import BoardRuns
from sft.leaderboard.groups import Group, seeds_of
from sft.leaderboard.records import CalibrationGain
from sft.leaderboard.statistics.uncertainty import Difference, estimate, holm_corrected

_FUNCTION = "inference.calibration_args.calibration_fn"


def has_calibrator(group: Group) -> bool:
    """Whether its runs are calibrated."""
    return group.runs[0].setting(_FUNCTION) not in (None, "none")


def calibration_gains(
    groups: Sequence[Group], runs: BoardRuns, sampled: Sequence[Group]
) -> tuple[CalibrationGain, ...]:
    """The gain of every calibrated group, p corrected for all of them; runs that lack a number count as none.

    Args:
        groups: of one board.
        runs: of the board.
        sampled: groups that get intervals.
    """
    with_interval = {id(group) for group in sampled}
    calibrated = (group for group in groups if has_calibrator(group))
    found = [
        gain
        for group in calibrated
        if (gain := _gain(group, runs, has_interval=id(group) in with_interval)) is not None
    ]
    corrected = holm_corrected([gain.certainty for gain in found])
    return tuple(replace(gain, p_holm=p) for gain, p in zip(found, corrected, strict=True))


def _gain(group: Group, runs: BoardRuns, *, has_interval: bool) -> CalibrationGain | None:
    plain = f"{UNCALIBRATED}{runs.metric}"
    numbers = [(run, run.number(runs.metric), run.number(plain)) for run in group.runs]
    known = [(run, own, other) for run, own, other in numbers if own is not None and other is not None]
    if not known:
        return None
    differences = [_difference(run, own - other, runs, has_interval=has_interval) for run, own, other in known]
    found = estimate(differences)
    return CalibrationGain(
        group=group.name,
        calibrator=str(group.runs[0].setting(_FUNCTION)),
        metric=runs.metric,
        uncalibrated=fmean(other for _, _, other in known),
        calibrated=fmean(own for _, own, _ in known),
        difference=found.difference,
        certainty=found.certainty,
        p_holm=None,
        n=len(known),
    )


def _difference(run: ExperimentRecord, observed: float, runs: BoardRuns, *, has_interval: bool) -> Difference:
    own, other = runs.samples.values.get(run.id), runs.samples.uncalibrated.get(run.id)
    is_known = has_interval and own is not None and other is not None
    seeds = None if run.id in runs.seedless else seeds_of(run)
    return Difference(seeds, observed, own - other if is_known else None)  # type: ignore[operator]  # see is_known
