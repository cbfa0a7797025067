"""The rows on which two runs do not say the same, from their predictions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sft.config.canonical import json_text
from sft.evaluation.predictions import OUR_COLUMNS, read_predictions
from sft.reporting.collect import ExperimentRecord
from sft.runs.files import JobFolder


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
    own, other = _read(first), _read(second)
    if own is None or other is None or [row["index"] for row in own] != [row["index"] for row in other]:
        return None
    columns = list(dict.fromkeys([*_input_columns(first), *_input_columns(second)]))
    gold_column = _stored_name(str(first.setting("prompting.output_column")))
    counts: Counter[tuple[bool, bool]] = Counter()
    apart = []
    for one, two in zip(own, other, strict=True):
        texts = (_text(one, columns), json_text(one.get(gold_column)), _said(one), _said(two))
        row = Disagreement(int(one["index"]), *texts)
        counts[row.first.strip() == row.gold.strip(), row.second.strip() == row.gold.strip()] += 1
        if row.first.strip() != row.second.strip():
            apart.append(row)
    return RowsApart(
        both_right=counts[True, True],
        only_first=counts[True, False],
        only_second=counts[False, True],
        both_wrong=counts[False, False],
        disagreements=tuple(apart),
    )


def _read(record: ExperimentRecord) -> list[dict[str, Any]] | None:
    try:
        rows = read_predictions(JobFolder(record.folder).predictions("test", "jsonl"))
    except (OSError, ValueError):
        return None
    return rows if all(isinstance(row, dict) and {"index", "predictions"} <= row.keys() for row in rows) else None


def _input_columns(record: ExperimentRecord) -> list[str]:
    columns = record.setting("prompting.input_columns")
    return [str(column) for column in columns] if isinstance(columns, list) else []


def _stored_name(column: str) -> str:
    return f"data.{column}" if column in OUR_COLUMNS else column


def _said(row: Mapping[str, Any]) -> str:
    return json_text(row["predictions"])


def _text(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """One column as it is, several with their names."""
    kept = {name: json_text(row[_stored_name(name)]) for name in columns if _stored_name(name) in row}
    return next(iter(kept.values())) if len(columns) == 1 and kept else "  ".join(f"{k}: {v}" for k, v in kept.items())
