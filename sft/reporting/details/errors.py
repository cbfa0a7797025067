"""The worst errors of an experiment: where it was most sure of something else than the gold value."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sft.reporting.details.sources import PredictedRow, input_texts

MOST_LABELS = 3
"""Labels whose probabilities are shown of an error, the most probable first."""


@dataclass(frozen=True)
class WrongRow:
    """An evaluated row with a wrong prediction.

    Attributes:
        index: position among the evaluated rows.
        text: of the input columns.
        gold: what it should have been.
        prediction: what it was.
        probabilities: (label, probability) of the most probable labels and the gold one; empty in generation.
    """

    index: int
    text: str
    gold: str
    prediction: str
    probabilities: tuple[tuple[str, float], ...]


def worst_errors(rows: Sequence[PredictedRow], columns: Sequence[str], limit: int) -> list[WrongRow]:
    """Wrong rows, those with the least probable gold label first.

    Generated texts have no probability: there it is those that share the fewest words with the reference.

    Args:
        rows: of one split.
        columns: whose texts are shown, in their order.
        limit: at most so many.
    """
    wrong = sorted((row for row in rows if not row.is_correct), key=_rightness)
    return [
        WrongRow(
            row.index, "\n".join(input_texts(row, columns).values()), row.gold, row.prediction, _most_probable(row)
        )
        for row in wrong[:limit]
    ]


def word_f1(prediction: str, reference: str) -> float:
    """F1 of the words that two texts share, each counted as often as it stands in both (Rajpurkar et al. 2016)."""
    words, wanted = Counter(prediction.lower().split()), Counter(reference.lower().split())
    shared = (words & wanted).total()
    return 2 * shared / (words.total() + wanted.total()) if shared else 0.0


def _rightness(row: PredictedRow) -> float:
    if row.probabilities:
        return row.probabilities.get(row.gold) or 0.0
    return word_f1(row.prediction, row.gold)


def _most_probable(row: PredictedRow) -> tuple[tuple[str, float], ...]:
    known = [(label, value) for label, value in row.probabilities.items() if value is not None]
    ordered = sorted(known, key=lambda item: -item[1])
    return tuple(item for place, item in enumerate(ordered) if place < MOST_LABELS or item[0] == row.gold)
