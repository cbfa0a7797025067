"""The groups of a board in `leaderboard.json`; docs/leaderboard-json.md says what its keys mean."""

import dataclasses
from typing import Any

from sft.reporting.comparison import BoardStatistics
from sft.reporting.groups import Group
from sft.reporting.records import Comparison
from sft.reporting.statistics import POWER


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
        "no_seed_effect": group.no_seed_effect,
        "seeds": [run.seed for run in group.runs],
        "rows": [{"name": row.name, "id": row.id} for row in group.rows],
        "value": group.value,
        "results": {name: dataclasses.asdict(summary) for name, summary in group.results().items()},
        "interval": None if interval is None else dataclasses.asdict(interval) | {"covers": group.interval_covers},
        "against_best": None if group.against_best is None else _comparison(group.against_best),
    }


def statistics_record(statistics: BoardStatistics | None) -> dict[str, Any] | None:
    """What holds for all groups of a board."""
    return None if statistics is None else dataclasses.asdict(statistics) | {"power": POWER}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "difference": comparison.difference,
        **dataclasses.asdict(comparison.interval),
        "p": comparison.p,
        "p_holm": comparison.p_holm,
        "test": comparison.test,
        "tie": comparison.is_tie,
    }
