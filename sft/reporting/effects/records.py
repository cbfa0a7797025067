"""What is told of the axes of a board's grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sft.reporting.uncertainty import Certainty


@dataclass(frozen=True)
class Effect:
    """What one value of an axis changes against the axis' reference, on the same seeds, all else equal.

    Attributes:
        axis: dotted path of a setting, or which part of the names.
        also: settings that change together with it.
        kind: `setting` or `name`.
        reference: as text.
        value: as text.
        reference_name: the part of the names that says the same as a setting's reference; None where none does.
        value_name: likewise.
        metric: the ranking metric, on test rows.
        difference: value less reference, mean over pairs.
        certainty: None where rows are not known, or too many runs to sample.
        p_holm: corrected for all effects of the board that have a p.
        n_pairs: pairs of runs.
        n_seeds: seeds that move a pair; 1 where none does.
    """

    axis: str
    also: tuple[str, ...]
    kind: str
    reference: str
    value: str
    reference_name: str | None
    value_name: str | None
    metric: str
    difference: float
    certainty: Certainty | None
    p_holm: float | None
    n_pairs: int
    n_seeds: int


@dataclass(frozen=True)
class CurvePoint:
    """A group on a learning curve.

    Attributes:
        shots: as in the config: a number or `all`.
        n_train: rows that are the shots; None where nobody says.
        group: its name.
        value: mean of the metric over its runs.
        low: end of the 95 % interval of the mean; None without rows.
        high: the other end.
        n: runs.
    """

    shots: int | str
    n_train: int | None
    group: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class LearningCurve:
    """Groups that differ in their shots alone, fewest first.

    Attributes:
        name: what tells it from the other curves.
        settings: those in which the curves differ, by dotted path.
        metric: the ranking metric, on test rows.
        points: at least two.
    """

    name: str
    settings: Mapping[str, Any]
    metric: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class CalibrationGain:
    """What the calibrator changes in the runs of a group, on the same rows.

    Attributes:
        group: its name.
        calibrator: `calibration_fn`.
        metric: the ranking metric, on test rows.
        uncalibrated: mean over runs.
        calibrated: likewise.
        difference: calibrated less uncalibrated.
        certainty: None without rows.
        p_holm: corrected for all gains of the board that have a p.
        n: runs.
    """

    group: str
    calibrator: str
    metric: str
    uncalibrated: float
    calibrated: float
    difference: float
    certainty: Certainty | None
    p_holm: float | None
    n: int


@dataclass(frozen=True)
class ParetoPoint:
    """A group: what it costs (mean over runs), how good it is, and whether no other is as good for as little."""

    group: str
    cost: float
    value: float
    on_front: bool


@dataclass(frozen=True)
class ParetoFront:
    """The ranked groups of a board by one cost, cheapest first.

    Attributes:
        cost: `seconds`, `peak memory` or `trainable parameters`.
        unit: of the cost.
        metric: that of the value: the one by which the board ranks, on dev rows where there are any.
        points: all groups that have both numbers.
    """

    cost: str
    unit: str
    metric: str
    points: tuple[ParetoPoint, ...]


@dataclass(frozen=True)
class Effects:
    """All of it for one board."""

    effects: tuple[Effect, ...] = ()
    learning_curves: tuple[LearningCurve, ...] = ()
    calibration_gains: tuple[CalibrationGain, ...] = ()
    pareto: tuple[ParetoFront, ...] = ()
