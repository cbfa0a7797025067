"""`leaderboard.json`: every row of every board, for programs; docs/leaderboard-json.md says what its keys mean."""

import dataclasses
import json
from typing import Any

from sft.evaluation.selection import DEV, stands_beside
from sft.leaderboard.board import Board, Leaderboard, direction, leading_group
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.costs import costs_of
from sft.leaderboard.details.by_label import by_label
from sft.leaderboard.groups import Group
from sft.leaderboard.in_force import without_effect_in
from sft.leaderboard.records import WORSE, Baseline, CalibrationGain, Comparison, Effect
from sft.leaderboard.statistics.comparison import BoardStatistics
from sft.leaderboard.statistics.formulas import POWER
from sft.reporting.formats.report_format import Report, ReportFormat

SCHEMA = 1


def render(report: Report) -> str:
    """Indented JSON; non-finite numbers never reach it."""
    return json.dumps(report.record, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


FORMAT = ReportFormat(ending="json", render=render)


def report_of(leaderboard: Leaderboard) -> Report:
    """What the formats are given of a leaderboard."""
    return Report(leaderboard_record(leaderboard), leaderboard)


def leaderboard_record(leaderboard: Leaderboard) -> dict[str, Any]:
    """The content of the file."""
    rows = [
        experiment_row(record, board.id) | ({} if record.in_grid else {"in_grid": False})
        for board in leaderboard.boards
        for record in board.records
    ]
    rows += [experiment_row(record, None) for record in leaderboard.without_result]
    return {
        "schema": SCHEMA,
        "rows": rows,
        "others": [experiment_row(record, None) | {"reason": "not in this grid"} for record in leaderboard.others],
        "boards": [_board(board) for board in leaderboard.boards],
        "baselines": [_baseline(baseline) for baseline in leaderboard.baselines.found],
        "baselines_left_out": [dataclasses.asdict(item) for item in leaderboard.baselines.left_out],
    }


def experiment_row(record: ExperimentRecord, board: str | None) -> dict[str, Any]:
    """An experiment as it stands under `rows`.

    Args:
        record: the experiment.
        board: id of its board; None where it has no result.
    """
    return {
        "name": record.name,
        "id": record.id,
        "state": record.state,
        "seed": record.seed,
        "board": board,
        "settings": record.settings,
        "no_effect": without_effect_in(record.settings, record.in_force.unused),
        "results": dict(record.part("results")),
        "timing": dict(record.part("timing")),
        "resources": dict(record.part("resources")),
        "error": dataclasses.asdict(record.error) if record.error else None,
    }


def _board(board: Board) -> dict[str, Any]:
    labels = by_label(leading_group(board))
    return {
        "board": board.id,
        "task_type": board.task_type,
        "output_column": board.output_column,
        "labels": None if board.labels is None else list(board.labels),
        "metric": board.metric,
        "higher_is_better": board.higher_is_better,
        "directions": _directions(board),
        "ranking": [{"rank": row.rank, "name": row.record.name, "id": row.record.id} for row in board.rows],
        "warnings": list(board.warnings),
        "groups": [group_record(group) for group in board.groups],
        "statistics": statistics_record(board.statistics),
        "verdict": None if board.verdict is None else dataclasses.asdict(board.verdict),
        **effect_parts(board),
        "slices": [dataclasses.asdict(one) for one in board.slices],
        "by_label": None if labels is None else dataclasses.asdict(labels),
    }


def _directions(board: Board) -> dict[str, bool]:
    """Result -> whether more of it is better, of those that have a better side."""
    found: dict[str, bool] = {}
    for record in board.records:
        for name in record.part("results"):
            if name not in found and not stands_beside(name.removeprefix(DEV)):
                found[name] = direction(record, name)
    return found


def _baseline(baseline: Baseline) -> dict[str, Any]:
    return {
        "board": baseline.board,
        "name": baseline.name,
        "title": baseline.title,
        "shots": baseline.shots,
        "input_columns": list(baseline.input_columns),
        "n_train": baseline.sets[0].n_train,
        "seeds": [seed for shot_set in baseline.sets for seed in shot_set.seeds],
        "results": dict(baseline.results),
        "sets": [
            {name: value for name, value in dataclasses.asdict(shot_set).items() if name != "rows"}
            for shot_set in baseline.sets
        ],
    }


def effect_parts(board: Board) -> dict[str, Any]:
    """The keys of a board that hold effects."""
    return {
        "effects": [_effect(effect, board, "test") for effect in board.effects],
        "effects_dev": [_effect(effect, board, "dev") for effect in board.effects_dev],
        "learning_curves": [
            dataclasses.asdict(curve) | {"points": [dataclasses.asdict(point) for point in curve.points]}
            for curve in board.learning_curves
        ],
        "calibration_gains": [
            _gain(gain) | {"higher_is_better": board.higher_is_better} for gain in board.calibration_gains
        ],
        "pareto": [
            dataclasses.asdict(front)
            | {
                "higher_is_better": board.higher_is_better,
                "points": [dataclasses.asdict(point) for point in front.points],
            }
            for front in board.pareto
        ],
    }


def _effect(effect: Effect, board: Board, rows: str) -> dict[str, Any]:
    """An effect on the rows of a split."""
    compared = _compared(effect.comparison)
    return {
        "axis": effect.axis,
        "also": list(effect.also),
        "kind": effect.kind,
        "reference": effect.reference,
        "value": effect.value,
        "reference_name": effect.reference_name,
        "value_name": effect.value_name,
        "changes": [
            {"setting": path, "value": value, "reference": reference}
            for path, (value, reference) in effect.changes.items()
        ],
        "metric": effect.metric,
        "difference": effect.difference,
        **compared,
        "covers": compared["covers"] and compared["covers"].replace("test", rows),
        "rows": rows,
        "higher_is_better": board.higher_is_better,
        "n_pairs": effect.n_pairs,
        "n_seeds": 1 if effect.comparison is None else effect.comparison.n_seeds,
    }


def _gain(gain: CalibrationGain) -> dict[str, Any]:
    return {
        "group": gain.group,
        "calibrator": gain.calibrator,
        "metric": gain.metric,
        "uncalibrated": gain.uncalibrated,
        "calibrated": gain.calibrated,
        "difference": gain.difference,
        **_compared(gain.comparison),
        "n": gain.n,
    }


def _compared(comparison: Comparison | None) -> dict[str, Any]:
    """How sure a difference is, and what it comes to; nulls where rows are not known."""
    keys = ("p", "p_holm", "test", "covers", "mark", "runs_only")
    if comparison is None:
        return dict.fromkeys(("low", "high", *keys))
    return {**dataclasses.asdict(comparison.interval), **{key: getattr(comparison, key) for key in keys}}


def group_record(group: Group) -> dict[str, Any]:
    """One group."""
    interval = group.interval
    return {
        "name": group.name,
        "rank": group.rank,
        "n": len(group.runs),
        "n_seeds": group.n_seeds,
        "expected_seeds": group.expected_seeds,
        "complete": group.is_complete,
        "provisional": group.is_provisional,
        "mark": group.mark,
        "not_above": list(group.not_above),
        "no_seed_effect": group.no_seed_effect,
        "seeds": [run.seed for run in group.runs],
        "rows": [{"name": row.name, "id": row.id} for row in group.rows],
        "value": group.value,
        "results": {name: dataclasses.asdict(summary) for name, summary in group.results().items()},
        "interval": None if interval is None else dataclasses.asdict(interval) | {"covers": group.interval_covers},
        "against_best": None if group.against_best is None else comparison_record(group.against_best),
        "costs": dataclasses.asdict(costs_of(group.runs)),
    }


def statistics_record(statistics: BoardStatistics | None) -> dict[str, Any] | None:
    """What holds for all groups of a board."""
    return None if statistics is None else dataclasses.asdict(statistics) | {"power": POWER}


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """One set-up beside another."""
    return {
        "difference": comparison.difference,
        **_compared(comparison),
        "tie": comparison.mark != WORSE,
        "n_seeds": comparison.n_seeds,
    }
