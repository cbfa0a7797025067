"""Baselines on one set of shots: the data are read again, and must be those that the experiments were measured on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sft.config.experiment import ExperimentConfig
from sft.data.rows import Row
from sft.errors import DataError
from sft.evaluation.metrics.formulas import classification_numbers
from sft.evaluation.rows import DEV
from sft.evaluation.selection import entry_of, options_of
from sft.reporting.baselines.classifiers import LabelledTexts, Probabilities, majority, tfidf_regression
from sft.reporting.baselines.shot_sets import ShotSet
from sft.reporting.records import MAJORITY, TFIDF
from sft.tasks.inputs import Inputs, planned_inputs, row_text, rows_sha256


@dataclass(frozen=True)
class Measured:
    """The numbers of one baseline on one set of shots, or why there are none."""

    results: Mapping[str, float]
    reason: str | None = None


@dataclass(frozen=True)
class SourceRows:
    """The rows of one source of data as the baselines read them; `evaluated` by the prefix of its numbers."""

    train: LabelledTexts
    by_index: Mapping[int, tuple[str, int]]
    evaluated: Mapping[str, LabelledTexts]
    config: ExperimentConfig
    folder: Path


def read_rows(shot_set: ShotSet) -> SourceRows:
    """Read the data of a set of shots by its recorded config.

    Raises:
        DataError: they changed since, or are gone.
    """
    written = shot_set.written
    if not all(name in written for name in ("config", "config_folder", "fingerprints")):
        raise DataError(f"the record {shot_set.record.folder.name}/config.json cannot be read")
    config = shot_set.record.experiment
    inputs = planned_inputs(config, Path(written["config_folder"]), written["fingerprints"])
    recorded = shot_set.record.part("data")
    evaluated = {"" if split == "test" else DEV: rows for split, rows in inputs.evaluated().items()}
    for prefix, rows in evaluated.items():
        if rows_sha256(rows) != recorded.get(f"{prefix or 'test_'}rows_sha256"):
            raise DataError(f"the {'dev' if prefix else 'test'} rows are not those that were evaluated")
    places = {label: place for place, label in enumerate(shot_set.board.labels or ())}
    split = () if inputs.splits.train is None else inputs.splits.train.rows
    column = config.prompting.output_column
    known = [row for row in split if column in row.values and row.text(column) in places]
    return SourceRows(
        _labelled(inputs, inputs.selection.train if known else (), places),
        {row.source_index: (row_text(row, config.prompting), places[row.text(column)]) for row in known},
        {prefix: _labelled(inputs, rows, places) for prefix, rows in evaluated.items()},
        config,
        Path(written["config_folder"]),
    )


def measure(shot_set: ShotSet, rows: SourceRows) -> dict[str, Measured]:
    """Every baseline on a set of shots, by name.

    Raises:
        DataError: a shot is not in the train split.
    """
    missing = [index for index in shot_set.train_indices if index not in rows.by_index]
    if missing:
        raise DataError(f"row {missing[0]} of the train split is not there any more")
    found = [rows.by_index[index] for index in shot_set.train_indices]
    shots = LabelledTexts([text for text, _ in found], np.array([label for _, label in found], dtype=np.int64))
    n_labels = len(shot_set.board.labels or ())
    measured = {
        MAJORITY: _measured(
            lambda texts: majority(shots.labels, rows.train.labels, n_labels, len(texts)), shot_set, rows
        )
    }
    if shot_set.train_indices:
        measured[TFIDF] = _measured(lambda texts: tfidf_regression(shots, texts, n_labels), shot_set, rows)
    return measured


def _measured(predict: Callable[[Sequence[str]], Probabilities], shot_set: ShotSet, rows: SourceRows) -> Measured:
    """All splits at once, so that a baseline learns once."""
    texts = [text for split in rows.evaluated.values() for text in split.texts]
    try:
        probabilities = predict(texts)
    except DataError as error:
        return Measured({}, str(error))
    arguments = _ece_arguments(rows)
    results: dict[str, float] = {}
    begin = 0
    for prefix, split in rows.evaluated.items():
        own = probabilities[begin : begin + len(split.texts)]
        begin += len(split.texts)
        numbers = classification_numbers(split.labels, own, arguments["ece_bins"], arguments["ece_norm"])
        results |= {f"{prefix}{name}": number for name, number in numbers.items()}
    return Measured(results)


def _ece_arguments(rows: SourceRows) -> dict[str, Any]:
    return options_of(entry_of("ece"), rows.config.evaluation.model_extra or {}, rows.folder)


def _labelled(inputs: Inputs, rows: Sequence[Row], places: Mapping[str, int]) -> LabelledTexts:
    prompting = inputs.config.prompting
    labels = [places[row.text(prompting.output_column)] for row in rows]
    return LabelledTexts([row_text(row, prompting) for row in rows], np.array(labels, dtype=np.int64))
