"""What can be wrong with the rows of a config; each data section is read once, each distinct draw made once."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.data.leaks import count_leaks
from sft.data.rows import Row, Splits
from sft.evaluation.slices import sliced
from sft.exceptions import DataError, UserError
from sft.experiments.planning.row_warnings import row_warnings
from sft.pipeline.needed_rows import named_row_sets
from sft.tasks.corrections import scored
from sft.tasks.examples import example_source
from sft.tasks.inputs import Inputs, label_counts, read_splits, select_inputs, used_columns
from sft.tasks.missing import dropped_rows, rows_with_empty_inputs
from sft.tasks.row_sets import RowSet, check_row_set, pool_rows
from sft.wording import listed


@dataclass(frozen=True)
class DataFacts:
    """What the plan shows of an experiment's data."""

    labels: list[list[str]] | None
    """Gold value and words, in order."""
    label_counts: dict[str, int] | None
    """Rows of the train split by gold value, where there is one."""
    n_train: int
    """Rows that are trained on, or the pool of examples; of folds those of the one that has fewest."""
    n_dev: int | None
    n_test: int
    n_leaked: int
    """Rows that are trained on, shown or calibrated on whose text is found among the evaluated rows."""
    shot_counts: Mapping[str, int] = field(default_factory=dict)
    """Gold value -> shots, in the order of the labels; of folds those of the first; empty without labels or shots."""
    n_dropped: Mapping[str, int] = field(default_factory=dict)
    """Split -> rows that were left out because a used cell is empty; without splits of none."""
    n_empty: Mapping[str, int] = field(default_factory=dict)
    """Split -> shots in use and evaluated rows with an empty input; without splits of none."""
    warnings: tuple[str, ...] = ()
    """What the rows show that a user should know."""


class DataChecks:
    """Reads and selects the rows of the experiments of one grid, each distinct reading and selection once."""

    def __init__(self, folder: Path, revisions: Callable[[ExperimentConfig], str | None]) -> None:
        self._folder = folder
        self._revisions = revisions
        self._splits: dict[str, Splits | UserError] = {}
        self._inputs: dict[str, Inputs | UserError] = {}
        self._facts: dict[str, DataFacts | list[PathMessage]] = {}

    def facts(self, config: ExperimentConfig, *, with_gold: bool) -> DataFacts | list[PathMessage]:
        """The facts, or the dotted paths and messages of what is wrong."""
        key = _key(config, with_gold)
        if key not in self._facts:
            self._facts[key] = self._examine(config, with_gold)
        return self._facts[key]

    def inputs(self, config: ExperimentConfig) -> Inputs:
        """The selected rows of an experiment.

        Raises:
            UserError: they cannot be read or selected.
        """
        key = _selection_key(config)
        if key not in self._inputs:
            try:
                self._inputs[key] = select_inputs(config, self._read(config))
            except UserError as error:
                self._inputs[key] = error
        found = self._inputs[key]
        if isinstance(found, UserError):
            raise found
        return found

    def _read(self, config: ExperimentConfig) -> Splits:
        key = _reading_key(config)
        if key not in self._splits:
            try:
                self._splits[key] = read_splits(config, self._folder, self._revisions(config))
            except UserError as error:
                self._splits[key] = error
        found = self._splits[key]
        if isinstance(found, UserError):
            raise found
        return found

    def _examine(self, config: ExperimentConfig, with_gold: bool) -> DataFacts | list[PathMessage]:
        try:
            inputs = dataclasses.replace(self.inputs(config), config=config)
            parts = inputs.parts
        except UserError as error:
            return [_located(error)]
        missing = [*_missing_kept(inputs), *_missing_slices(inputs)]
        found = [*_missing_gold(inputs, with_gold), *missing]
        found += _first_of(_example_findings(part) for part in parts)
        found = found or _first_of(_row_set_findings(part, self._folder) for part in parts)
        if found:
            return found
        try:
            scoring = scored(inputs, self._folder)
        except UserError as error:
            return [_located(error)]
        leaked = sum(_n_leaked(part, self._folder) for part in parts)
        if leaked and config.evaluation.strict_leaks:
            message = f"{leaked} shots or in-context examples are also evaluated rows; remove them from one side"
            return [("evaluation.strict_leaks", message)]
        labels = inputs.labels
        return DataFacts(
            labels=None if labels is None else [list(pair) for pair in zip(labels.values, labels.words, strict=True)],
            label_counts=_label_counts(inputs),
            n_train=min(len(part.selection.shots) for part in parts),
            n_dev=None if inputs.selection.dev is None else len(inputs.selection.dev),
            n_test=len(inputs.selection.test),
            n_leaked=leaked,
            shot_counts=_shot_counts(parts[0]),
            n_dropped=dropped_rows(inputs),
            n_empty=rows_with_empty_inputs(inputs),
            warnings=(*row_warnings(inputs, self._folder), *scoring.warnings),
        )


def _first_of(found: Iterable[list[PathMessage]]) -> list[PathMessage]:
    """What is wrong with the first part with which anything is: the others mostly lack the same."""
    return next((messages for messages in found if messages), [])


def _n_leaked(inputs: Inputs, folder: Path) -> int:
    """How many rows whose answers may be seen have the input of an evaluated row of the same part."""
    evaluated = chain.from_iterable(inputs.evaluated().values())
    return count_leaks(used_examples(inputs, folder), evaluated, inputs.config.prompting.input_columns)


def _located(error: UserError) -> PathMessage:
    """The dotted path that an error of the rows begins with, else the section."""
    path, separator, message = str(error).partition(": ")
    if separator and path.startswith("dataset.") and " " not in path:
        return path, message
    return "dataset", str(error)


def used_examples(inputs: Inputs, folder: Path) -> tuple[Row, ...]:
    """The rows whose answers may be seen: trained on, shown as in-context examples, or calibrated on; each once."""
    sets = _named_sets(inputs, folder)
    calibrated_on = (row for row_set in sets if row_set.kind == "train" for row in pool_rows(inputs, row_set))
    found = {row.source_index: row for row in (*_shown_or_trained_on(inputs), *calibrated_on)}
    return tuple(found.values())


def _shown_or_trained_on(inputs: Inputs) -> Sequence[Row]:
    if inputs.config.uses_shots:
        return inputs.selection.shots
    inference = inputs.config.inference
    source = example_source(inputs, inference.icl_examples, leave_one_out=False)
    if source is None:
        return ()
    if inputs.config.draws_examples_per_row:
        return inputs.selection.pool
    return tuple(row for examples in source.fixed() for row in examples)


def _label_counts(inputs: Inputs) -> dict[str, int] | None:
    column = inputs.config.prompting.output_column
    train = inputs.splits.train
    if inputs.labels is None or train is None or column not in train.columns:
        return None
    found = label_counts(inputs.task, train.rows, column)
    return {value: found[value] for value in inputs.labels.values}


def _shot_counts(inputs: Inputs) -> dict[str, int]:
    if inputs.labels is None or not inputs.selection.shots:
        return {}
    found = label_counts(inputs.task, inputs.selection.shots, inputs.config.prompting.output_column)
    return {value: found[value] for value in inputs.labels.values}


def _missing_gold(inputs: Inputs, with_gold: bool) -> list[PathMessage]:
    column = inputs.config.prompting.output_column
    missing = [split for split in inputs.evaluated() if with_gold and not inputs.has_gold(split)]
    message = (
        f"column {column!r} is not in split {{}}; metrics need it (`sft predict CONFIG` and `sft predict ID --input "
        "FILE` do not)"
    )
    return [("prompting.output_column", message.format(split)) for split in missing]


def _missing_kept(inputs: Inputs) -> list[PathMessage]:
    kept = inputs.config.dataset.keep_columns or []
    columns = inputs.splits.test.columns
    return [
        ("dataset.keep_columns", f"column {name!r} not found; columns are: {listed(columns)}")
        for name in kept
        if name not in columns
    ]


def _missing_slices(inputs: Inputs) -> list[PathMessage]:
    """Columns whose values cannot be scored apart: they are not there, or have too many values."""
    found, rows = [], inputs.evaluated()
    for column in inputs.config.evaluation.slices or []:
        try:
            for split in (inputs.splits.test, inputs.splits.dev):
                if split is not None:
                    split.require(column)
            sliced(column, rows)
        except DataError as error:
            found.append(("evaluation.slices", str(error)))
    return found


def _example_findings(inputs: Inputs) -> list[PathMessage]:
    config = inputs.config
    in_training = config.training.icl_examples if config.training and config.trains else 0
    asked = [("training", in_training, True), ("inference", config.inference.icl_examples, False)]
    found = []
    for section, k, leave_one_out in asked:
        try:
            example_source(inputs, k, leave_one_out=leave_one_out)
        except UserError as error:
            found.append((f"{section}.icl_examples", str(error).removeprefix("icl_examples: ")))
    return found


def _row_set_findings(inputs: Inputs, folder: Path) -> list[PathMessage]:
    """Row sets that normalisation or calibration need and that cannot be built."""
    found = []
    for row_set, path in _named_sets(inputs, folder).items():
        try:
            check_row_set(inputs, row_set)
        except UserError as error:
            found.append((path, str(error)))
    return found


def _named_sets(inputs: Inputs, folder: Path) -> dict[RowSet, str]:
    """The row sets beside the evaluated rows; none where what names them is wrong, which is a finding of its own."""
    try:
        return {RowSet.parse(name): path for name, path in named_row_sets(inputs.config, folder).items()}
    except (UserError, ValueError):
        return {}


def _reading_key(config: ExperimentConfig) -> str:
    """Shared by experiments that draw other shots from the same files, which are then read once."""
    keys = {"path", "args", "read", "task_type", "labels_separator", "splits", "on_missing", "keep_columns"}
    dataset = config.dataset.model_dump(include=keys)
    needs_train = config.dataset.shots != 0 or config.inference.icl_examples > 0 or config.dataset.labels is None
    return _text([dataset, used_columns(config), config.prompting.output_column, needs_train])


def _selection_key(config: ExperimentConfig) -> str:
    columns = [used_columns(config), config.prompting.output_column]
    needs_pool = config.inference.icl_examples > 0
    return _text([config.dataset.as_text, columns, config.seed_of("shots"), needs_pool])


def _key(config: ExperimentConfig, with_gold: bool) -> str:
    in_training = config.training.icl_examples if config.training else 0
    inference = config.inference
    draws = [in_training, config.trains, inference.icl_examples, config.draws_examples_per_row, config.seed_of("icl")]
    columns = [config.prompting.input_columns, config.inference_prompting.input_columns]
    named = [inference.calibration_args, inference.label_scoring.normalization, inference.threshold]
    measured = [config.evaluation.as_text, inference.tokenizer_name]
    return _text([_selection_key(config), columns, draws, named, measured, with_gold])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
