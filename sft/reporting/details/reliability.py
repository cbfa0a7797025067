"""Is the model as sure as it is right? Accuracy by confidence."""

from collections.abc import Sequence
from dataclasses import dataclass

from sft.reporting.details.sources import PredictedRow

BINS = 10


@dataclass(frozen=True)
class ConfidenceBin:
    """Rows whose most probable label has a probability in one tenth of 0 to 1.

    Attributes:
        confidence: mean probability of the predicted label.
        accuracy: share of right rows.
        count: rows.
    """

    confidence: float
    accuracy: float
    count: int


def reliability(rows: Sequence[PredictedRow]) -> list[ConfidenceBin]:
    """The bins that hold any row, by rising confidence (Guo et al. 2017, section 2); none in generation."""
    gathered: dict[int, list[tuple[float, bool]]] = {}
    for row in rows:
        confidence = row.probabilities.get(row.prediction)
        if confidence is not None:
            gathered.setdefault(min(int(confidence * BINS), BINS - 1), []).append((confidence, row.is_correct))
    return [_bin(members) for _, members in sorted(gathered.items())]


def _bin(members: Sequence[tuple[float, bool]]) -> ConfidenceBin:
    count = len(members)
    return ConfidenceBin(
        sum(confidence for confidence, _ in members) / count, sum(right for _, right in members) / count, count
    )
