"""`leaderboard.json`: every row of every board, for programs; docs/leaderboard-json.md says what its keys mean."""

import dataclasses
import json
from typing import Any

from sft.reporting.board import Board, Leaderboard
from sft.reporting.collect import ExperimentRecord
from sft.reporting.formats.effect_records import effect_parts
from sft.reporting.formats.group_records import group_record, statistics_record
from sft.reporting.formats.report_format import Report, ReportFormat
from sft.reporting.records import Baseline

SCHEMA = 1


def render(report: Report) -> str:
    """Indented JSON; non-finite numbers never reach it."""
    return json.dumps(report.record, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def report_of(leaderboard: Leaderboard) -> Report:
    """What the formats are given of a leaderboard."""
    return Report(leaderboard_record(leaderboard), leaderboard)


def leaderboard_record(leaderboard: Leaderboard) -> dict[str, Any]:
    """The content of the file."""
    rows = [experiment_row(record, board.id) for board in leaderboard.boards for record in board.records]
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
        "results": dict(record.part("results")),
        "timing": dict(record.part("timing")),
        "resources": dict(record.part("resources")),
        "error": dataclasses.asdict(record.error) if record.error else None,
    }


def _board(board: Board) -> dict[str, Any]:
    return {
        "board": board.id,
        "task_type": board.task_type,
        "output_column": board.output_column,
        "labels": None if board.labels is None else list(board.labels),
        "metric": board.metric,
        "higher_is_better": board.higher_is_better,
        "ranking": [{"rank": row.rank, "name": row.record.name, "id": row.record.id} for row in board.rows],
        "warnings": list(board.warnings),
        "groups": [group_record(group) for group in board.groups],
        "statistics": statistics_record(board.statistics),
        **effect_parts(board),
    }


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
        "sets": [dataclasses.asdict(shot_set) for shot_set in baseline.sets],
    }


FORMAT = ReportFormat(ending="json", render=render)
