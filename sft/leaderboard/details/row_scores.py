"""How well each evaluated row was answered, by a metric on it alone, where no probability of a gold label tells it."""

import math
from dataclasses import dataclass

from sft.evaluation.recomputing import run_rows
from sft.evaluation.selection import UNCALIBRATED, split_prefix
from sft.leaderboard.collect import ExperimentRecord
from sft.runs.files import JobFolder


@dataclass(frozen=True)
class RowScores:
    """The value of one result on each row alone.

    Attributes:
        result: key of `results`, of test rows.
        higher_is_better: its direction.
        scores: in the order of the rows; None where a row alone gives no number.
    """

    result: str
    higher_is_better: bool
    scores: tuple[float | None, ...]

    def badness(self, place: int) -> float:
        """The lower, the worse the row at this place was answered; one without a number comes first."""
        score = self.scores[place]
        if score is None:
            return -math.inf
        return score if self.higher_is_better else -score


def row_scores(record: ExperimentRecord, n_rows: int) -> RowScores | None:
    """By the first result of test rows that follows from single rows; None where none does.

    Args:
        record: a finished experiment.
        n_rows: its evaluated rows; rows that are as many alone are those of its predictions.
    """
    details = record.part("details")
    for result in record.part("results"):
        if split_prefix(result, details) or result.startswith(UNCALIBRATED):
            continue
        known = run_rows(JobFolder(record.folder), record.metrics, result)
        if known is None or len(known.rows) != n_rows:
            continue
        values = known.sums[result].each().tolist()
        higher = bool((details.get("higher_is_better") or {}).get(result, True))
        return RowScores(result, higher, tuple(value if math.isfinite(value) else None for value in values))
    return None
