from collections.abc import Callable
from pathlib import Path
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.tasks.inputs import Inputs, load_inputs, row_text
from sft.tasks.missing import dropped_rows, missing_record, rows_with_empty_inputs

Raw = Callable[..., dict[str, Any]]
TWO_COLUMNS = {"prompting": {"input_columns": ["text", "note"]}}


def _inputs(config: dict[str, Any], project: Path) -> Inputs:
    return load_inputs(ExperimentConfig.model_validate(config), project, {})


def _note(rows: list[dict[str, Any]], n_empty: int) -> None:
    for number, row in enumerate(rows):
        row["note"] = None if number < n_empty else "n"


def test_rows_with_an_empty_input_are_counted(project: Path, raw: Raw, rewrite: Callable[..., None]) -> None:
    rewrite(project, "test", lambda rows: _note(rows, 2))
    rewrite(project, "train", lambda rows: _note(rows, len(rows) - 1))
    inputs = _inputs(raw(TWO_COLUMNS, {"dataset": {"shots": "all"}}), project)
    n_train = len(inputs.selection.shots)
    assert missing_record(inputs) == {"n_empty": {"train": n_train - 1, "test": 2}}
    assert row_text(inputs.selection.test[0], inputs.config.prompting).endswith("\n")
    zero_shot = _inputs(raw(TWO_COLUMNS, {"dataset": {"shots": 0}, "lora": ..., "training": ...}), project)
    assert rows_with_empty_inputs(zero_shot) == {"test": 2}


def test_rows_that_are_left_out_are_counted_where_their_split_is_used(
    project: Path, raw: Raw, rewrite: Callable[..., None]
) -> None:
    rewrite(project, "test", lambda rows: _note(rows, 2))
    rewrite(project, "train", lambda rows: _note(rows, 3))
    drop = {"dataset": {"on_missing": "drop", "shots": "all"}}
    inputs = _inputs(raw(TWO_COLUMNS, drop), project)
    assert missing_record(inputs) == {"n_dropped": {"train": 3, "test": 2}}
    assert len(inputs.selection.test) == 7
    zero_shot = {"dataset": {"on_missing": "drop", "shots": 0}, "lora": ..., "training": ...}
    assert dropped_rows(_inputs(raw(TWO_COLUMNS, zero_shot), project)) == {"test": 2}
    assert missing_record(_inputs(raw(), project)) == {}
