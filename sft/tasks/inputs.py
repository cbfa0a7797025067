"""The rows of one experiment: read, labelled and selected, the same in the planner and in every stage."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sft.config.canonical import canonical_json
from sft.config.experiment import ExperimentConfig
from sft.config.prompting import PromptingConfig
from sft.data.loading import GoldReading, data_fingerprint, data_names, load_splits
from sft.data.rows import Row, Splits, indices_of, texts_of
from sft.data.selection import Selection, counts_text, fold_splits, select
from sft.exceptions import ChangedInput, DataError
from sft.labels.label_set import LabelSet, check_gold
from sft.models.sentence_encoder import EncoderSource
from sft.registry import load, run_snapshots
from sft.runs.records import JobRecord
from sft.tasks import task_registry
from sft.tasks.encoders import encoder_path, encoders_of
from sft.tasks.planned import check_unchanged
from sft.tasks.task import Task
from sft.wording import shown

_JSON_TYPES = (str, int, float, bool, list, dict, type(None))


@dataclass(frozen=True)
class Inputs:
    """What an experiment's stages are fed with."""

    config: ExperimentConfig
    task: Task
    labels: LabelSet | None
    splits: Splits
    selection: Selection
    encoders: Mapping[str, EncoderSource] = field(default_factory=dict)
    """Section (`training`, `inference`) -> the sentence-embedding model that chooses its in-context examples;
    `evaluation` -> that of the baselines."""
    fold: int | None = None
    """The fold that these rows are of, from 0; None for the rows of all folds, and where there are none."""

    def evaluated(self) -> dict[str, Sequence[Row]]:
        """The evaluated rows by split: dev first where there is one, then test."""
        dev = {} if self.selection.dev is None else {"dev": self.selection.dev}
        return {**dev, "test": self.selection.test}

    @cached_property
    def folds(self) -> "tuple[Inputs, ...]":
        """Of each fold its own rows to be tested, and those of the others as train split; none without folds.

        Raises:
            UserError: a fold lacks rows that it needs; names it.
        """
        return tuple(_of_fold(self, fold) for fold in range(len(self.splits.folds)))

    @property
    def parts(self) -> "tuple[Inputs, ...]":
        """What is trained, shown and tested together: each fold by itself, without folds all of it."""
        return self.folds or (self,)

    def part(self, fold: int | None) -> "Inputs":
        """The rows of one fold; of None these."""
        return self if fold is None else _of_fold(self, fold)

    @property
    def shots_in_use(self) -> Sequence[Row]:
        """The shots, where they have an effect: else they are in no key, and equal keys must not tell other rows."""
        return self.selection.shots if self.config.uses_shots else ()

    def has_gold(self, split: str) -> bool:
        """Whether the evaluated rows of a split carry the output column."""
        rows = self.splits.dev if split == "dev" else self.splits.test
        return rows is not None and self.config.prompting.output_column in rows.columns


def task_named(name: str) -> Task:
    """The registry's entry of that name.

    Raises:
        UserError: there is none.
    """
    task: Task = load(task_registry, name, "task type")
    return task


def task_of(config: ExperimentConfig) -> Task:
    """The task type of a config.

    Raises:
        UserError: there is no such task type.
    """
    return task_named(config.dataset.task_type)


def used_columns(config: ExperimentConfig) -> tuple[str, ...]:
    """The columns that prompts read, in training and at inference, and the output column, once each."""
    return tuple(dict.fromkeys([*input_columns(config), config.prompting.output_column]))


def input_columns(config: ExperimentConfig) -> tuple[str, ...]:
    """The columns that prompts read, in training and at inference, once each."""
    return tuple(dict.fromkeys([*config.prompting.input_columns, *config.inference_prompting.input_columns]))


def load_inputs(config: ExperimentConfig, folder: Path, revisions: Mapping[str, str]) -> Inputs:
    """Read and select the rows of an experiment.

    Args:
        config: the experiment.
        folder: what its local paths are relative to.
        revisions: the pinned commits of the hub names in it: `dataset`, `training.icl_encoder`, ...
    """
    splits = read_splits(config, folder, revisions.get("dataset"))
    encoders = {
        section: EncoderSource(name, folder, revisions.get(encoder_path(section)))
        for section, name in encoders_of(config, task_of(config)).items()
    }
    return replace(select_inputs(config, splits), encoders=encoders)


def read_splits(config: ExperimentConfig, folder: Path, revision: str | None) -> Splits:
    """The rows of an experiment before any of them are selected.

    Args:
        config: the experiment.
        folder: what its local paths are relative to.
        revision: the pinned commit of a hub data set.
    """
    output_column = config.prompting.output_column
    task = task_of(config)
    strata = output_column if task.counts_per_label else None
    columns = () if task.reads == "whole" else input_columns(config)
    gold = GoldReading(strata, task.gold_column(config.dataset, output_column), task.values_in)
    return load_splits(config.dataset, columns, output_column, folder, revision, gold)


def inputs_of_job(record: JobRecord) -> Inputs:
    """The rows of a job, of its fold alone where it has one, read anew; what else it reads is compared with its plan.

    Own code runs from the source that the job carries from here on.

    Raises:
        DataError: something changed since the plan.
    """
    config, folder = record.experiment, Path(record.config_folder)
    run_snapshots(record.code, folder)
    check_unchanged(record, config)
    return planned_inputs(config, folder, record.fingerprints).part(record.fold)


def planned_inputs(config: ExperimentConfig, folder: Path, fingerprints: Mapping[str, Any]) -> Inputs:
    """The rows of an experiment, read anew.

    Args:
        config: the experiment.
        folder: what its local paths are relative to.
        fingerprints: what the planner found the inputs to contain.

    Raises:
        DataError: a file changed since the plan.
    """
    revisions = fingerprints["revisions"]
    planned = fingerprints["data"]
    for role, content in data_fingerprint(config.dataset, folder, revisions.get("dataset")).items():
        if planned.get(role, content) != content:
            name = data_names(config.dataset, folder).get(role, f"split {role} of {config.dataset.path}")
            raise ChangedInput(name)
    return load_inputs(config, folder, revisions)


def select_inputs(config: ExperimentConfig, splits: Splits) -> Inputs:
    """Resolve the labels and select the rows of an experiment from splits that are already read."""
    task = task_of(config)
    output_column = config.prompting.output_column
    labels = task.label_set(config.dataset, splits, output_column)
    selection = _selected(task, config, splits, labels)
    inputs = Inputs(config=config, task=task, labels=labels, splits=splits, selection=selection)
    _check_train(inputs)
    for split, rows in inputs.evaluated().items():
        if labels and inputs.has_gold(split):
            check_gold(labels, _gold(rows, output_column, task), split)
    return inputs


def _selected(task: Task, config: ExperimentConfig, splits: Splits, labels: LabelSet | None) -> Selection:
    values, column = labels.values if labels else None, config.prompting.output_column
    return select(config.dataset, splits, column, values, config.seed_of("shots"), task.values_in)


def _of_fold(whole: Inputs, fold: int) -> Inputs:
    config = whole.config
    number = f"fold {fold} of 0 to {len(whole.splits.folds) - 1}"
    splits = fold_splits(whole.splits, fold, indices_of(whole.selection.test))
    _check_fold(whole, splits, number)
    try:
        selection = _selected(whole.task, config, splits, whole.labels)
    except DataError as error:
        raise DataError(f"{error} (without the rows of {number})") from error
    own = replace(whole, splits=splits, selection=selection, fold=fold)
    _check_train(own)
    return own


def _check_fold(whole: Inputs, splits: Splits, number: str) -> None:
    """Make sure that a fold has rows to test, and of every label that there is.

    Raises:
        DataError: it has not.
    """
    if not splits.test.rows:
        raise DataError(
            f"dataset.max_n_test: {whole.config.dataset.max_n_test} leaves no row to test in {number}; ask for more "
            "rows or fewer folds"
        )
    column = whole.config.prompting.output_column
    if whole.labels is None or column not in whole.splits.test.columns:
        return
    counts, n_folds = label_counts(whole.task, whole.splits.test.rows, column), len(whole.splits.folds)
    short = {label: counts[label] for label in whole.labels.values if 0 < counts[label] < n_folds}
    if short:
        most = min(short.values())
        at_most = f"ask for at most {most} folds, " if most > 1 else "write shares in place of folds, "
        raise DataError(
            f"dataset.splits.folds: {n_folds} folds, and labels have fewer rows ({counts_text(short)}), so that a "
            f"fold would lack one; {at_most}add rows, or leave such labels out"
        )
    own = Counter(counts)
    own.subtract(label_counts(whole.task, splits.train.rows if splits.train else (), column))
    lacking = [label for label in whole.labels.values if counts[label] and not own[label]]
    if lacking:
        told = ", ".join(f"{shown(label)} ({counts[label]} in all)" for label in lacking)
        raise DataError(
            f"dataset.splits.folds: {number} has no row of the label {told}; ask for fewer folds, add rows, or leave "
            "out the rows of such labels"
        )


def with_labels(instruction: str | None, labels: LabelSet | None) -> str | None:
    """The instruction with `{labels}` as the label words in their order."""
    if instruction is None or labels is None:
        return instruction
    return instruction.replace("{labels}", ", ".join(labels.words))


def _check_train(inputs: Inputs) -> None:
    column = inputs.config.prompting.output_column
    needed = inputs.config.dataset.shots != 0 or inputs.config.inference.icl_examples > 0
    train = inputs.splits.train
    if not needed:
        return
    if train is None:
        raise DataError(
            f"split {inputs.config.dataset.splits.train!r} not found, and shots or in-context examples need it"
        )
    train.require(column)
    if inputs.labels:
        check_gold(inputs.labels, _gold(inputs.selection.shots, column, inputs.task), "train")


def _gold(rows: Sequence[Row], column: str, task: Task) -> list[tuple[int, str]]:
    """`source_index` and gold value of each row, of a row with several once for each."""
    pairs = zip(indices_of(rows), texts_of(rows, column), strict=True)
    return [(index, value) for index, text in pairs for value in task.values_in(text)]


def label_counts(task: Task, rows: Sequence[Row], column: str) -> Counter[str]:
    """Gold value -> rows that have it in this column."""
    return Counter(value for text in texts_of(rows, column) for value in task.values_in(text))


def row_text(row: Row, prompting: PromptingConfig) -> str:
    """The row's input as one text, for what weighs its words; `normalised_input` tells whether two are the same."""
    return "\n".join(row.input_text(column) for column in prompting.input_columns)


def rows_sha256(rows: Sequence[Row]) -> str:
    """The sha256 of rows by their content, all columns, so that boards compare like with like."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json([row.source_index, _jsonable(row.values)]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _jsonable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Cells as JSON has them: what it does not know, such as a date, counts by its text."""
    return {name: value if isinstance(value, _JSON_TYPES) else str(value) for name, value in values.items()}
