"""What calibrators that are fitted on labelled rows share."""

import numpy as np

from sft.calibration.calibrator import RowSetScores, Scores
from sft.calibration.priors import log_probabilities

LABELLED_ROWS = 64
"""Labelled rows by default: one number is fitted, and more cost as much time as evaluated rows do."""


def labelled_rows(count: int) -> str:
    """The name of the row set with at most `count` labelled rows."""
    return f"train:{count}"


def mean_log_loss(scores: Scores, rows: RowSetScores) -> float:
    """Mean of -log p(gold label), in nats.

    Args:
        scores: (rows, labels).
        rows: where the gold labels stand.
    """
    if rows.gold is None:
        raise ValueError("these rows have no gold labels")
    logs = log_probabilities(scores)
    return float(-logs[np.arange(len(logs)), rows.gold].mean())
