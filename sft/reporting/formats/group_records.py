"""The groups of a board in `leaderboard.json`.

A board's `groups`, best first, those without a rank last:

    {
      "name": the common part of the names, "rank": int | null,
      "n": runs, "n_seeds": seeds that its rows cover, "expected_seeds": int, "complete": bool,
      "no_seed_effect": bool, "seeds": [seed of each run], "rows": [{"name", "id"}],
      "value": mean of the board's ranking metric | null,
      "results": {metric: {"n", "mean", "sd": over runs with n - 1 | null, "median"}},
      "interval": {"low", "high", "covers": "test rows" | "test rows and seeds"} | null,
      "against_best": {"difference", "low", "high", "p", "p_holm", "test": "mcnemar" | "bootstrap" | "t", "tie"}
        | null
    }

`interval` and `against_best` are of the board's `statistics.metric`, on test rows. `statistics` is null where no run's
rows can be read, else {"metric", "n_rows", "n_groups": groups with statistics, "samples", "confidence", "power",
"detectable": difference | null}. Key names stay; later ones are added beside them.
"""

import dataclasses
from typing import Any

from sft.reporting.comparison import BoardStatistics
from sft.reporting.groups import Comparison, Group
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
