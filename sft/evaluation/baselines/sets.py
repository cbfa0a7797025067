"""Baselines of rows with any number of labels, each judged by itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sft.data.rows import texts_of
from sft.evaluation.baselines.classifiers import Known, Probabilities, tfidf_regression
from sft.evaluation.baselines.entry import Baseline, Outcome
from sft.evaluation.baselines.labelled import labels_of
from sft.evaluation.metrics.set_counts import Flags, set_numbers
from sft.evaluation.rows import set_rows
from sft.labels.label_sets import flags, texts_of_flags
from sft.runs.records import JobRecord
from sft.tasks.inputs import Inputs, row_text

THRESHOLD = 0.5


@dataclass(frozen=True)
class KnownSets:
    """What may be learned from.

    Attributes:
        shots: the shots' texts.
        shot_labels: (shots, labels) whether a shot has each label.
        train_labels: (rows, labels) likewise of the train split.
    """

    shots: Sequence[str]
    shot_labels: Flags
    train_labels: Flags


def known_sets(inputs: Inputs) -> KnownSets:
    """What the experiments of the job know of the train split."""
    train, column, labels = inputs.splits.train, inputs.config.prompting.output_column, labels_of(inputs)
    has_labels = train is not None and column in train.columns
    shots = inputs.shots_in_use
    return KnownSets(
        [row_text(row, inputs.config.prompting) for row in shots],
        flags(texts_of(shots, column), labels),
        flags(texts_of(inputs.selection.train if has_labels else (), column), labels),
    )


def frequent_set(known: KnownSets, texts: Sequence[str]) -> Probabilities:
    """1 for the labels of the most frequent set of the train split for every row, of several the first as bits.

    Shots are drawn by label, which says nothing of how frequent sets are; they are counted where there is no train
    split. Where there is neither, no row has any label.
    """
    rows = known.train_labels if len(known.train_labels) else known.shot_labels
    counts = Counter(map(tuple, rows.tolist()))
    best = min(counts, key=lambda one: (-counts[one], one), default=(False,) * rows.shape[1])
    return np.tile(np.array(best, dtype=np.float64), (len(texts), 1))


def tfidf_one_vs_rest(known: KnownSets, texts: Sequence[str]) -> Probabilities | None:
    """For each label a logistic regression on the words of the shots; no baseline without shots.

    A label that all shots have, or none, has that probability everywhere.

    Raises:
        DataError: the shots have no word, or there are too many rows.
    """
    if not known.shots:
        return None
    found = np.zeros((len(texts), known.shot_labels.shape[1]))
    for place, has in enumerate(known.shot_labels.T):
        if has.all() or not has.any():
            found[:, place] = float(has[0])
        else:
            own = has.astype(np.int64)
            judged = tfidf_regression(Known(2, known.shots, own, own), texts)
            found[:, place] = 0.0 if judged is None else judged[:, 1]
    return found


def set_outcome(inputs: Inputs, split: str, probabilities: NDArray[np.float64], _record: JobRecord) -> Outcome:
    """Every number of sets of labels, each label predicted from a probability of 0.5 on.

    Args:
        inputs: the rows to be scored.
        split: of the rows.
        probabilities: (rows, labels).
    """
    labels, rows = labels_of(inputs), inputs.evaluated()[split]
    given = probabilities >= THRESHOLD
    gold = texts_of(rows, inputs.config.prompting.output_column)
    return Outcome(set_rows(labels, gold, texts_of_flags(given, labels), {}), set_numbers(flags(gold, labels), given))


FREQUENT_SET = Baseline(known_sets, frequent_set, set_outcome, metrics=())
TFIDF_ONE_VS_REST = Baseline(known_sets, tfidf_one_vs_rest, set_outcome, metrics=())
