"""What the axes of a board's grid change, in `leaderboard.json`; docs/leaderboard-json.md says what its keys mean."""

import dataclasses
from typing import Any

from sft.reporting.board import Board
from sft.reporting.records import CalibrationGain, Certainty, Effect


def effect_parts(board: Board) -> dict[str, Any]:
    """The keys of a board that hold effects."""
    return {
        "effects": [_effect(effect) for effect in board.effects],
        "learning_curves": [
            dataclasses.asdict(curve) | {"points": [dataclasses.asdict(point) for point in curve.points]}
            for curve in board.learning_curves
        ],
        "calibration_gains": [_gain(gain) for gain in board.calibration_gains],
        "pareto": [
            dataclasses.asdict(front)
            | {
                "higher_is_better": board.higher_is_better,
                "points": [dataclasses.asdict(point) for point in front.points],
            }
            for front in board.pareto
        ],
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "axis": effect.axis,
        "also": list(effect.also),
        "kind": effect.kind,
        "reference": effect.reference,
        "value": effect.value,
        "reference_name": effect.reference_name,
        "value_name": effect.value_name,
        "metric": effect.metric,
        "difference": effect.difference,
        **_certainty(effect.certainty),
        "p_holm": effect.p_holm,
        "n_pairs": effect.n_pairs,
        "n_seeds": effect.n_seeds,
    }


def _gain(gain: CalibrationGain) -> dict[str, Any]:
    return {
        "group": gain.group,
        "calibrator": gain.calibrator,
        "metric": gain.metric,
        "uncalibrated": gain.uncalibrated,
        "calibrated": gain.calibrated,
        "difference": gain.difference,
        **_certainty(gain.certainty),
        "p_holm": gain.p_holm,
        "n": gain.n,
    }


def _certainty(certainty: Certainty | None) -> dict[str, Any]:
    if certainty is None:
        return {"low": None, "high": None, "p": None, "covers": None}
    return {**dataclasses.asdict(certainty.interval), "p": certainty.p, "covers": certainty.covers}
