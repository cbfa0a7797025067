"""A row as a model is trained on it, and what is asked of such rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from sft.exceptions import DataError
from sft.prompts.style import Encoded
from sft.wording import some

IGNORED = -100
"""The label of a token without a loss."""

SHOWN_ROWS = 10


@dataclass(frozen=True)
class TrainRow:
    """One row as the model sees it."""

    input_ids: tuple[int, ...]
    """Ids of prompt and completion."""

    labels: tuple[int, ...]
    """As long as `input_ids`; the id where a token is trained, -100 elsewhere."""

    weight: float = 1.0
    """What the loss of its tokens is multiplied by."""

    @staticmethod
    def of(encoded: Encoded, weight: float = 1.0) -> "TrainRow":
        """The row whose loss covers the completion, and the earlier answers of a conversation that are trained too."""
        completion = encoded.completion_ids
        labels = [IGNORED] * len(encoded.prompt_ids)
        for start, end in encoded.trained:
            labels[start:end] = encoded.prompt_ids[start:end]
        return TrainRow(encoded.prompt_ids + completion, (*labels, *completion), weight)

    @property
    def n_trained(self) -> int:
        """Tokens with a loss; the first token of a row never has one, as nothing predicts it."""
        return sum(label != IGNORED for label in self.labels[1:])


@dataclass(frozen=True)
class HeadRow(TrainRow):
    """One row as a model with a head sees it: its text, and what the head is trained towards.

    `labels` is the place of the right label, or 0 or 1 for each label where a row has any number of them.
    """

    judges_each: bool = False
    """Whether a row has any number of labels, each judged by itself."""

    @property
    def n_trained(self) -> int:
        """One answer."""
        return 1


@dataclass(frozen=True)
class SourceRow(TrainRow):
    """One row as an encoder-decoder sees it: what the encoder reads, and in `labels` what the decoder should write."""

    opening: tuple[int, ...] = ()
    """Ids that the decoder has before it writes the first of them."""

    @staticmethod
    def written(encoded: Encoded, opening: tuple[int, ...], weight: float = 1.0) -> "SourceRow":
        """The row whose loss covers the whole answer with its stop."""
        return SourceRow(encoded.prompt_ids, encoded.completion_ids, weight, opening)

    @property
    def n_trained(self) -> int:
        """All tokens of the answer and its stop."""
        return len(self.labels)


def check_rows(rows: Sequence[TrainRow], split: str, max_length: int | None) -> None:
    """Refuse rows that could not be trained on as they are.

    Args:
        rows: the rows of one split.
        split: its name in the messages.
        max_length: tokens a row may have, or None.

    Raises:
        DataError: naming the rows by their position, from 0.
    """
    if not rows:
        raise DataError(f"there are no {split} rows")
    written = [(number, row) for number, row in enumerate(rows) if not isinstance(row, HeadRow | SourceRow)]
    lengths = [number for number, row in written if len(row.input_ids) != len(row.labels)]
    if lengths:
        raise ValueError(f"{split} rows {lengths[:SHOWN_ROWS]}: labels and ids differ in number")
    empty = [number for number, row in enumerate(rows) if row.n_trained == 0]
    if empty:
        raise DataError(f"no trainable token in {_named(split, empty, len(rows))}: the output is empty after all cuts")
    long = [number for number, row in enumerate(rows) if max_length is not None and len(row.input_ids) > max_length]
    if long:
        raise DataError(f"more than {max_length} tokens (max_length) in {_named(split, long, len(rows))}")


def _named(split: str, numbers: Sequence[int], total: int) -> str:
    shown = some([str(number) for number in numbers], SHOWN_ROWS)
    return f"{split} row{'s' if len(numbers) > 1 else ''} {shown} of {total} (counted from 0)"
