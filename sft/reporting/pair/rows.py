"""The rows on which two runs do not say the same, from their predictions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sft.reporting.collect import ExperimentRecord
from sft.reporting.details.sources import PredictedRow, input_columns, input_texts, predicted_rows


@dataclass(frozen=True)
class Disagreement:
    """An evaluated row that two runs answer differently.

    Attributes:
        index: position among the evaluated rows.
        text: of the input columns, as far as the predictions keep them.
        gold: the label or the reference text.
        first: what the first says.
        second: what the second says.
    """

    index: int
    text: str
    gold: str
    first: str
    second: str


@dataclass(frozen=True)
class RowsApart:
    """How the rows of two runs came out; white space around texts does not count.

    Attributes:
        both_right: rows.
        only_first: rows that the first alone has right.
        only_second: rows that the second alone has right.
        both_wrong: rows, whether they say the same or not.
        disagreements: rows on which they do not say the same, in order.
    """

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    disagreements: tuple[Disagreement, ...]

    @property
    def n_rows(self) -> int:
        """All of them."""
        return self.both_right + self.only_first + self.only_second + self.both_wrong


def rows_apart(first: ExperimentRecord, second: ExperimentRecord) -> RowsApart | None:
    """Compare the predictions of two runs row by row; None where those of one cannot be read.

    Args:
        first: a run.
        second: another one of the same evaluated rows.
    """
    own, other = predicted_rows(first), predicted_rows(second)
    if not own or [row.index for row in own] != [row.index for row in other]:
        return None
    columns = list(dict.fromkeys([*input_columns(first), *input_columns(second)]))
    counts: Counter[tuple[bool, bool]] = Counter()
    apart = []
    for one, two in zip(own, other, strict=True):
        counts[one.is_correct, two.is_correct] += 1
        if one.prediction.strip() != two.prediction.strip():
            apart.append(Disagreement(one.index, _text(one, columns), one.gold, one.prediction, two.prediction))
    return RowsApart(
        both_right=counts[True, True],
        only_first=counts[True, False],
        only_second=counts[False, True],
        both_wrong=counts[False, False],
        disagreements=tuple(apart),
    )


def _text(row: PredictedRow, columns: Sequence[str]) -> str:
    """One column as it is, several with their names."""
    kept = input_texts(row, columns)
    if len(columns) == 1:
        return next(iter(kept.values()), "")
    return "  ".join(f"{name}: {value}" for name, value in kept.items())
