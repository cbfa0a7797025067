"""How many rows of an experiment have empty cells, and how many were left out for one."""

from collections.abc import Sequence

from sft.data.rows import Row
from sft.tasks.inputs import Inputs


def dropped_rows(inputs: Inputs) -> dict[str, int]:
    """Rows that `dataset.on_missing: drop` left out, by split; without splits of which none were.

    Those of the train split count only where the experiment has a use for its rows; of folds, whose rows are all
    tested, they stand under test.
    """
    splits = inputs.splits
    config = inputs.config
    uses_train = config.uses_shots or config.inference.icl_examples
    train = splits.train if uses_train and not splits.folds else None
    found = {"train": train, "dev": splits.dev, "test": splits.test}
    return {name: split.n_dropped for name, split in found.items() if split is not None and split.n_dropped}


def rows_with_empty_inputs(inputs: Inputs) -> dict[str, int]:
    """Shots in use (`train`) and evaluated rows with an empty input cell, by split; without splits of none."""
    config = inputs.config
    found = {
        split: _with_empty_cell(rows, config.inference_prompting.input_columns)
        for split, rows in inputs.evaluated().items()
    }
    if config.uses_shots:
        columns = config.prompting.input_columns if config.trains else config.inference_prompting.input_columns
        found = {"train": _with_empty_cell(inputs.selection.shots, columns), **found}
    return {split: count for split, count in found.items() if count}


def missing_record(inputs: Inputs) -> dict[str, dict[str, int]]:
    """Both counts for a record, without those that are nothing."""
    counts = {"n_dropped": dropped_rows(inputs), "n_empty": rows_with_empty_inputs(inputs)}
    return {name: found for name, found in counts.items() if found}


def _with_empty_cell(rows: Sequence[Row], columns: Sequence[str]) -> int:
    return sum(any(not row.input_text(column) for column in columns) for row in rows)
