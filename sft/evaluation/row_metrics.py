"""Results of a run from its evaluated rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.entry import SAME_NUMBER
from sft.evaluation.metrics.row_sums import RowSums, mean_of
from sft.evaluation.rows import EvaluatedRows
from sft.evaluation.selection import entry_of, options_of
from sft.registry import import_object


def row_sums(name: str, rows: EvaluatedRows, metrics: Mapping[str, Any]) -> RowSums | None:
    """How the rows make a result; None where they lack what it needs, or it does not follow from rows.

    Args:
        name: a key of `results` without what says the split or the calibrator.
        rows: of that split, with or without the calibrator.
        metrics: content of `metrics.json`.
    """
    details = metrics.get("details") or {}
    if name in (details.get("range") or {}) or name not in metric_registry:
        return mean_of(rows.per_row[name]) if name in rows.per_row else None
    entry, labels = entry_of(name), details.get("labels")
    if entry.row_sums is None or (entry.needs in ("texts", "token_sums")) == isinstance(labels, list):
        return None  # an own metric of an earlier version may be called like one of ours that is for another task
    written = (metrics.get("config") or {}).get("evaluation") or {}
    form = import_object(entry.row_sums)
    found: RowSums | None = form(name, rows, len(labels or ()), options_of(entry, written, Path()))
    return found


def is_same(number: float, written: Any) -> bool:
    """Whether a number is the one that was written, but for the order of sums."""
    return isinstance(written, int | float) and abs(number - written) <= SAME_NUMBER * max(1.0, abs(written))
