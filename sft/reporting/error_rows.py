"""Wrong rows of an experiment as JSON for programs, and as a file for spreadsheets."""

from typing import Any

from sft.leaderboard.details.details import WrongRow
from sft.leaderboard.details.error_list import ErrorList
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
    """The wrong rows as CSV."""
    probabilities = ("probability", "gold_probability") if found.has_labels else ()
    rows = [
        {
            "split": found.split,
            "source_index": row.source_index,
            "gold": row.gold,
            "said": row.prediction,
            "probability": dict(row.probabilities).get(row.prediction),
            "gold_probability": dict(row.probabilities).get(row.gold),
            "text": row.text,
        }
        for row in found.rows
    ]
    return csv_text(("split", "source_index", "gold", "said", *probabilities, "text"), all_storable(rows))


def _row(row: WrongRow) -> dict[str, Any]:
    return {
        "index": row.index,
        "source_index": row.source_index,
        "gold": row.gold,
        "said": row.prediction,
        "probabilities": dict(row.probabilities),
        "text": row.text,
    }
