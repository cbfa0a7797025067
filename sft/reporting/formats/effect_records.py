"""What the axes of a board's grid change, in `leaderboard.json`; all numbers are of test rows but those of `pareto`.

    "effects": of each value of an axis against the axis' reference, in the order of the configs, then of the names:
    {
      "axis": dotted path of a setting, or `names, part N`, "also": [settings that change together with it],
      "kind": "setting" | "name", "reference": text, "value": text,
      "reference_name", "value_name": the parts of the names that say the same as a setting's values | null,
      "metric": the ranking metric, "difference": value less reference, the mean over pairs,
      "low", "high": 95 % interval | null, "p", "p_holm": corrected for all effects of the board | null,
      "n_pairs": pairs of runs, "n_seeds": int, "covers": "test rows" | "test rows and seeds" | null
    }

    "learning_curves": groups that are equal but for their shots:
    {
      "name", "settings": {dotted path: value} that tell it from the other curves, "metric",
      "points": [{"shots": int | "all", "n_train": int | null, "group": name, "value": mean over runs,
                  "low", "high": 95 % interval of the mean | null, "n": runs}], fewest shots first
    }

    "calibration_gains": of each group that has a calibrator:
    {
      "group": name, "calibrator", "metric", "uncalibrated", "calibrated": means over runs, "difference",
      "low", "high" | null, "p", "p_holm": corrected for all gains of the board | null, "n": runs, "covers": as above
    }

    "pareto": for each cost:
    {
      "cost": "seconds" | "peak memory" | "trainable parameters", "unit": "s" | "GiB" | "parameters",
      "metric": the one that ranks (of dev rows where there are any), "higher_is_better": bool,
      "points": [{"group": name, "cost": mean over runs, "value": mean over runs, "on_front": bool}], cheapest first
    }

A null interval: the metric does not follow from rows, rows are not there, or there are more runs than are sampled
(`sft leaderboard --full` samples all). Groups without a rank are no points of `pareto`.
"""

import dataclasses
from typing import Any

from sft.reporting.board import Board
from sft.reporting.effects.records import CalibrationGain, Effect
from sft.reporting.uncertainty import Certainty


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
