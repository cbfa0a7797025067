"""What a user asked to see of a leaderboard, for programs: `sft leaderboard --json`."""

import dataclasses
from typing import Any

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.records import Summary
from sft.leaderboard.settings import ABSENT
from sft.leaderboard.views.combinations import Combination, Combinations
from sft.leaderboard.views.pair import Pair, RowsApart
from sft.leaderboard.views.pair_sides import Side
from sft.leaderboard.views.view import LeaderboardView, ViewRequest
from sft.reporting.formats.json import comparison_record, leaderboard_record


def view_record(view: LeaderboardView, request: ViewRequest) -> dict[str, Any]:
    """The pair or the combinations where they were asked for, else as in `leaderboard.json`.

    Args:
        view: of a leaderboard that was just written.
        request: what was asked for; before anything has a result, a pair is null and there are no combinations.
    """
    if request.diff is not None:
        return {"pair": None if view.pair is None else _pair(view.pair)}
    if request.group_by:
        return {"combinations": [_combinations(found) for found in view.combinations]}
    return leaderboard_record(view.leaderboard)


def _combinations(found: Combinations) -> dict[str, Any]:
    return {
        "board": found.board.id,
        "metric": found.board.metric,
        "higher_is_better": found.board.higher_is_better,
        "rows": [_combination(row, found.keys) for row in found.found],
        "also_differ": list(found.also_differ),
    }


def _combination(row: Combination, keys: tuple[str, ...]) -> dict[str, Any]:
    values = zip(keys, row.values, strict=True)
    return {
        "settings": {key: value for key, value in values if value is not ABSENT},
        "n": row.n,
        "mean": row.mean,
        "sd": row.sd,
        "min": row.lowest,
        "max": row.highest,
        "best": row.best,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    found = pair.difference
    return {
        "board": pair.sides.first.board.id,
        "metric": pair.metric,
        "a": _side(pair.sides.first),
        "b": _side(pair.sides.second),
        "settings": [
            {
                "key": item.path,
                **({} if item.first_text is None else {"a": item.first}),
                **({} if item.second_text is None else {"b": item.second}),
            }
            for item in pair.settings
        ],
        "results": [
            {
                "name": item.name,
                "higher_is_better": item.higher_is_better,
                "a": _summary(item.first),
                "b": _summary(item.second),
            }
            for item in pair.results
        ],
        "costs": [{"name": item.name, "a": item.first, "b": item.second} for item in pair.costs],
        "difference": None
        if found is None
        else comparison_record(found.comparison) | {"n_rows": found.n_rows, "margin": found.margin},
        "rows": None if pair.rows is None else _rows(pair.rows, *pair.runs),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "runs": [{"name": run.name, "id": run.id, "seed": run.seed} for run in side.group.runs],
    }


def _summary(summary: Summary | None) -> dict[str, Any] | None:
    return None if summary is None else dataclasses.asdict(summary)


def _rows(found: RowsApart, first: ExperimentRecord, second: ExperimentRecord) -> dict[str, Any]:
    return {
        "a": {"name": first.name, "id": first.id},
        "b": {"name": second.name, "id": second.id},
        "both_right": found.both_right,
        "only_a": found.only_first,
        "only_b": found.only_second,
        "both_wrong": found.both_wrong,
        "disagreements": [
            {"index": row.index, "text": row.text, "gold": row.gold, "a": row.first, "b": row.second}
            for row in found.disagreements
        ],
    }
