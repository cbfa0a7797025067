"""The wrong rows of one experiment, those of one confusion where that is asked for, the surest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sft.exceptions import UserError
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.details.details import WrongRow, worst_errors
from sft.leaderboard.details.row_scores import RowScores
from sft.leaderboard.details.sources import (
    PredictedRow,
    input_columns,
    input_texts,
    predicted_rows,
)
from sft.registry import unknown_name
from sft.runs.files import ID_DIGITS

SPLITS = ("test", "dev")


@dataclass(frozen=True)
class ErrorRequest:
    """Which wrong rows are asked for.

    Attributes:
        gold: only rows with this gold label, of several among others; None: any.
        said: only rows for which this label was predicted; likewise.
        split: `test` or `dev`.
    """

    gold: str | None = None
    said: str | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise UserError(f"--split {self.split!r}: must be test or dev")


@dataclass(frozen=True)
class ErrorList:
    """The wrong rows of an experiment.

    Attributes:
        name: of the experiment.
        id: of the experiment.
        split: of the rows.
        n_rows: evaluated rows of the split.
        n_wrong: wrong ones.
        rows: all wrong ones that were asked for: those with the least probable gold label first; of generated texts
            those that share the fewest words with the reference.
        has_labels: whether there are labels and probabilities, as generated texts have none.
        has_texts: whether the predictions keep any column that the model reads.
        scored_by: of texts that are measured whole the result that orders them, the worst first: all of them are
            listed, with the gold as the text that was read; None of all others.
    """

    name: str
    id: str
    split: str
    n_rows: int
    n_wrong: int
    rows: tuple[WrongRow, ...]
    has_labels: bool
    has_texts: bool
    scored_by: str | None = None


def error_list(record: ExperimentRecord, request: ErrorRequest) -> ErrorList:
    """The wrong rows of an experiment that has predictions.

    Raises:
        UserError: it has none for the split, or none with gold; a label is not one of its own.
    """
    rows = predicted_rows(record, request.split)
    if not rows:
        raise UserError(_nothing_to_list(record, request.split))
    labels = _labels(rows)
    _require_label("--gold", request.gold, labels, record)
    _require_label("--said", request.said, labels, record)
    wrong = [row for row in rows if not row.is_correct]
    asked = [row for row in wrong if request.gold is None or row.has_gold(request.gold)]
    asked = [row for row in asked if request.said is None or row.has_said(request.said)]
    columns = input_columns(record)
    scores = _perplexities(asked) if record.measures_texts else None
    return ErrorList(
        name=record.name,
        id=record.id,
        split=request.split,
        n_rows=len(rows),
        n_wrong=len(wrong),
        rows=tuple(worst_errors(asked, columns, len(asked), scores)),
        has_labels=bool(labels),
        has_texts=scores is not None or bool(input_texts(rows[0], columns)),
        scored_by=None if scores is None else scores.result,
    )


def _perplexities(rows: Sequence[PredictedRow]) -> RowScores:
    """What was predicted of texts that are measured whole."""
    return RowScores("perplexity", False, tuple(float(row.prediction) for row in rows))


def _labels(rows: Sequence[PredictedRow]) -> list[str]:
    """The label set as the predictions hold it; empty in generation."""
    return list(dict.fromkeys(label for row in rows for label in row.probabilities))


def _require_label(option: str, label: str | None, labels: Sequence[str], record: ExperimentRecord) -> None:
    """Refuse a label that is none.

    Raises:
        UserError: it is not in the label set, or there is none.
    """
    if label is None or label in labels:
        return
    if not labels:
        raise UserError(f"{option}: {record.name} writes texts and has no labels; leave {option} out")
    raise UserError(f"{option}: {unknown_name('label', label, labels)}")


def _nothing_to_list(record: ExperimentRecord, split: str) -> str:
    """Why an experiment has no wrong rows to tell."""
    named = f"{record.name} [{record.id[:ID_DIGITS]}]"
    if split == "dev" and record.state == "done" and record.part("data").get("dev_rows_sha256") is None:
        return f"{named} has no dev rows: --split test"
    column = record.setting("prompting.output_column")
    return (
        f"{named} is {record.state}: no predictions of {split} rows with the column {column!r} can be read; "
        "run its grid first (`sft status` says what is missing)"
    )
