"""Calibration gains: the metric of a group with its calibrator, less that of the same runs without it."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from sft.evaluation.selection import UNCALIBRATED
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.groups import Group
from sft.leaderboard.records import CalibrationGain
from sft.leaderboard.statistics.comparison import BoardRuns
from sft.leaderboard.statistics.run_samples import outcomes_of
from sft.leaderboard.statistics.seed_clusters import GAIN, Difference

_FUNCTION = "inference.calibration_args.calibration_fn"


def has_calibrator(group: Group) -> bool:
    """Whether its runs are calibrated."""
    return group.runs[0].setting(_FUNCTION) not in (None, "none")


def calibration_gains(groups: Sequence[Group], runs: BoardRuns) -> tuple[CalibrationGain, ...]:
    """The gain of every calibrated group, p corrected for all of them; runs that lack a number count as none.

    Args:
        groups: of one board.
        runs: of the board.
    """
    found = [gain for group in groups if has_calibrator(group) and (gain := _gain(group, runs)) is not None]
    comparer = runs.comparer.with_priors(pairs for _, pairs in found if pairs is not None)
    comparisons = comparer.family([None if pairs is None else comparer.mean(pairs) for _, pairs in found])
    return tuple(
        replace(gain, comparison=comparison) for (gain, _), comparison in zip(found, comparisons, strict=True)
    )


def _gain(group: Group, runs: BoardRuns) -> tuple[CalibrationGain, list[Difference] | None] | None:
    metric = runs.samples.metric
    plain = f"{UNCALIBRATED}{metric}"
    numbers = [(run, run.number(metric), run.number(plain)) for run in group.runs]
    known = [(run, own, other) for run, own, other in numbers if own is not None and other is not None]
    if not known:
        return None
    pairs = [_difference(run, own - other, group, runs) for run, own, other in known]
    sampled = [pair for pair in pairs if pair is not None]
    gain = CalibrationGain(
        group=group.name,
        calibrator=str(group.runs[0].setting(_FUNCTION)),
        metric=metric,
        uncalibrated=fmean(other for _, _, other in known),
        calibrated=fmean(own for _, own, _ in known),
        difference=fmean(own - other for _, own, other in known),
        n=len(known),
        comparison=None,
    )
    return gain, sampled if len(sampled) == len(pairs) else None


def _difference(run: ExperimentRecord, observed: float, group: Group, runs: BoardRuns) -> Difference | None:
    """None where one side has no samples."""
    known = runs.samples
    own, other = known.values.get(run.id), known.uncalibrated.get(run.id)
    if own is None or other is None:
        return None
    outcomes = outcomes_of(known.sums[run.id].sums, known.sums[run.id].uncalibrated)
    seeds = None if group.no_seed_effect else run.seeds
    return Difference(seeds, observed, own - other, outcomes, GAIN)
