"""Wrong rows of an experiment as JSON for programs, and as a file for spreadsheets."""

import dataclasses
from typing import Any

from sft.leaderboard.details.details import WrongRow
from sft.leaderboard.details.error_list import ErrorList
from sft.leaderboard.details.suspects import SuspectList
from sft.reporting.flat import all_storable
from sft.reporting.formats.csv import csv_text

SCHEMA = 1


def error_record(found: ErrorList, limit: int | None) -> dict[str, Any]:
    """What `sft errors --json` prints.

    Args:
        found: the wrong rows.
        limit: at most so many of them; None: all.
    """
    record = {
        "schema": SCHEMA,
        "name": found.name,
        "id": found.id,
        "split": found.split,
        "n_rows": found.n_rows,
        "n_wrong": found.n_wrong,
        "n_asked": len(found.rows),
        "rows": [_row(row) for row in found.rows[:limit]],
    }
    stored: dict[str, Any] = all_storable(record)
    return stored


def error_csv(found: ErrorList) -> str:
    """The wrong rows as CSV; with its column `gold` corrected the file is what `dataset.corrections` takes."""
    probabilities = ("probability", "gold_probability") if found.has_labels else ()
    rows = [
        {
            "split": found.split,
            "source_index": row.source_index,
            "gold": row.gold,
            "said": row.prediction,
            "probability": row.said_probability,
            "gold_probability": row.gold_probability,
            "text": row.text,
        }
        for row in found.rows
    ]
    return csv_text(("split", "source_index", "gold", "said", *probabilities, "text"), all_storable(rows))


def suspect_record(found: SuspectList, limit: int | None) -> dict[str, Any]:
    """What `sft errors --suspect --json` prints.

    Args:
        found: the rows.
        limit: at most so many of them; None: all.
    """
    rows = [dataclasses.asdict(row) | {"said": [list(pair) for pair in row.said]} for row in found.rows[:limit]]
    record = {"schema": SCHEMA, **dataclasses.asdict(found), "n_suspect": len(found.rows), "rows": rows}
    stored: dict[str, Any] = all_storable(record)
    return stored


def suspect_csv(found: SuspectList) -> str:
    """The rows as CSV; with its column `gold` corrected the file is what `dataset.corrections` takes."""
    rows = [
        dataclasses.asdict(row) | {"split": found.split, "said": ", ".join(label for label, _ in row.said)}
        for row in found.rows
    ]
    columns = ("split", "source_index", "gold", "said", "probability", "gold_probability", "text")
    return csv_text(columns, all_storable(rows))


def _row(row: WrongRow) -> dict[str, Any]:
    return {
        "index": row.index,
        "source_index": row.source_index,
        "gold": row.gold,
        "said": row.prediction,
        "probabilities": dict(row.probabilities),
        "text": row.text,
    }
