"""Baselines of tasks with a closed set of labels, each of which gets a probability."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sft.data.rows import Row, texts_of
from sft.evaluation.baselines.classifiers import Known, Probabilities, majority, tfidf_regression
from sft.evaluation.baselines.entry import Baseline, Outcome
from sft.evaluation.metrics.formulas import classification_numbers
from sft.evaluation.rows import labelled_rows
from sft.evaluation.selection import entry_of, options_of
from sft.runs.records import JobRecord
from sft.tasks.inputs import Inputs, row_text


def known_labels(inputs: Inputs) -> Known:
    """What the experiments of the job know of the train split."""
    train, labelled = inputs.splits.train, inputs.selection.train
    has_labels = train is not None and inputs.config.prompting.output_column in train.columns
    shots = inputs.shots_in_use
    return Known(
        len(labels_of(inputs)),
        [row_text(row, inputs.config.prompting) for row in shots],
        _places(inputs, shots),
        _places(inputs, labelled if has_labels else ()),
    )


def label_outcome(inputs: Inputs, split: str, probabilities: Probabilities, record: JobRecord) -> Outcome:
    """Every number of our classification metrics, by the most probable label.

    Args:
        inputs: the rows to be scored.
        split: of the rows.
        probabilities: (rows, labels).
        record: of the job.
    """
    config, labels = inputs.config, labels_of(inputs)
    arguments = options_of(entry_of("ece"), config.evaluation.model_extra or {}, Path(record.config_folder))
    rows = inputs.evaluated()[split]
    predicted = [labels[place] for place in probabilities.argmax(axis=1).tolist()]
    gold = texts_of(rows, config.prompting.output_column)
    numbers = classification_numbers(
        _places(inputs, rows), probabilities, arguments["ece_bins"], arguments["ece_norm"]
    )
    return Outcome(labelled_rows(labels, gold, predicted, probabilities, {}), numbers)


def labels_of(inputs: Inputs) -> tuple[str, ...]:
    """The label set, without which there are no such baselines."""
    if inputs.labels is None:
        raise ValueError("baselines need a label set")
    return inputs.labels.values


def _places(inputs: Inputs, rows: Sequence[Row]) -> NDArray[np.int64]:
    """The positions of the rows' labels in the label set."""
    places = {label: place for place, label in enumerate(labels_of(inputs))}
    return np.array([places[text] for text in texts_of(rows, inputs.config.prompting.output_column)], dtype=np.int64)


MAJORITY_CLASS = Baseline(known_labels, majority, label_outcome, metrics=("ece",))
TFIDF_REGRESSION = Baseline(known_labels, tfidf_regression, label_outcome, metrics=("ece",))
