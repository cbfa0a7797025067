"""What the rows of an experiment show that a user should know before it runs; none of it stops a run."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from sft.data.rows import Row, texts_of
from sft.evaluation.unseen import unseen_references
from sft.exceptions import UserError
from sft.tasks.inputs import Inputs
from sft.wording import quoted

ROWS_PER_LABEL = 2
"""Rows that each label must have before a column of one value for each label says anything."""


def row_warnings(inputs: Inputs, folder: Path) -> tuple[str, ...]:
    """The warnings of an experiment's rows; local paths among its metrics' arguments are relative to the folder."""
    return (*inputs.splits.remarks, *_columns_with_the_answer(inputs), *_unseen(inputs, folder))


def _unseen(inputs: Inputs, folder: Path) -> list[str]:
    """Metrics that cannot see the references; none where what names them is wrong, which is a finding of its own."""
    config = inputs.config
    output = config.prompting.output_column
    if inputs.labels is not None or not inputs.has_gold("test"):
        return []
    references = texts_of(inputs.selection.test, output)
    metrics = config.evaluation.metrics or inputs.task.default_metrics
    has_tokenizer = bool(config.evaluation.tokenizer_name or config.inference.tokenizer_name)
    options = config.evaluation.model_extra or {}
    try:
        return unseen_references(list(metrics), options, references, folder, has_tokenizer=has_tokenizer)
    except (UserError, ValueError):
        return []


def _columns_with_the_answer(inputs: Inputs) -> Iterator[str]:
    config = inputs.config
    output = config.prompting.output_column
    if config.prompting.is_conversation:
        return
    splits = _rows_with_gold(inputs)
    columns = dict.fromkeys([*config.prompting.input_columns, *config.inference_prompting.input_columns])
    for column in columns:
        if _repeats(splits, column, output):
            yield _told(column, f"repeats {quoted(output)} in every row")
        elif inputs.labels is not None and _has_one_value_per_label(splits, column, output):
            yield _told(column, f"has one value for each label of {quoted(output)}")


def _told(column: str, how: str) -> str:
    return f"the input column {quoted(column)} {how}, so the prompts hold the answer; leave it out of input_columns"


def _rows_with_gold(inputs: Inputs) -> list[Sequence[Row]]:
    """The rows of each split that has the output column."""
    output = inputs.config.prompting.output_column
    train = inputs.selection.train
    evaluated = [rows for split, rows in inputs.evaluated().items() if inputs.has_gold(split)]
    return [*([train] if train and output in train[0].values else []), *evaluated]


def _repeats(splits: Sequence[Sequence[Row]], column: str, output: str) -> bool:
    """A few rows may be alike by chance: nothing is told of fewer than a label is asked to have."""
    rows = chain.from_iterable(splits)
    return sum(map(len, splits)) >= ROWS_PER_LABEL and all(_plain(row, column) == _plain(row, output) for row in rows)


def _has_one_value_per_label(splits: Sequence[Sequence[Row]], column: str, output: str) -> bool:
    label_of: dict[str, str] = {}
    n_of: dict[str, int] = {}
    for row in chain.from_iterable(splits):
        value, label = _plain(row, column), _plain(row, output)
        n_of[label] = n_of.get(label, 0) + 1
        if label_of.setdefault(value, label) != label or len(label_of) > len(n_of):
            return False
    return len(n_of) > 1 and min(n_of.values()) >= ROWS_PER_LABEL


def _plain(row: Row, column: str) -> str:
    return row.text(column).strip()
