"""What infer stages left of rows with any number of labels, as predictions: the labels that are probable enough."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sft.calibration.priors import LABELLED_ROWS, labelled_rows
from sft.data.rows import indices_of, rows_at
from sft.evaluation.normalization import SavedScores, Scores
from sft.evaluation.outputs import SplitOutput, require_same_rows
from sft.exceptions import StageFailure
from sft.labels.label_sets import flags, texts_of_flags
from sft.runs.files import JobFolder
from sft.runs.records import EVAL
from sft.tasks.inputs import Inputs


@dataclass(frozen=True)
class Threshold:
    """The least probability of a label that is predicted, and what `details` says of it."""

    value: float
    record: dict[str, Any] | None = None

    @classmethod
    def of(cls, inputs: Inputs, saved: Mapping[str, SavedScores]) -> "Threshold":
        """That of an experiment: as written, or the best one on rows of its pool.

        Args:
            inputs: the experiment's rows.
            saved: the scores of each row set.

        Raises:
            StageFailure: the pool has other rows than were scored.
        """
        written = inputs.config.inference.threshold
        if not isinstance(written, str):
            return cls(written)
        name = labelled_rows(LABELLED_ROWS)
        rows = saved[name]
        gold = _gold(inputs, rows.source_index.tolist())
        probabilities = yes_probabilities(rows)
        value = best_threshold(probabilities, gold)
        found = {"at 0.5": _micro_f1(probabilities >= 0.5, gold), "fitted": _micro_f1(probabilities >= value, gold)}
        seen = "the threshold was fitted on rows that were also trained on, which look easier than new ones"
        record = {
            "value": value,
            "row_set": name,
            "train_indices": rows.source_index.tolist(),
            "trained_on": inputs.config.trains,
            "micro_f1_on_train_rows": found,
            "warnings": [seen] if inputs.config.trains else [],
        }
        return cls(value, record)


def from_questions(infers: Mapping[str, JobFolder], inputs: Inputs, _folder: Path) -> dict[str, SplitOutput]:
    """As `sft.evaluation.outputs.read_outputs`, of stages that asked about each label; yes and no are the answers."""
    if inputs.labels is None:
        raise ValueError("sets of labels need a label set")
    labels = inputs.labels.values
    saved = {name: SavedScores.read(infer.scores) for name, infer in infers.items()}
    if inputs.fold is not None:  # a stage that serves all folds has the rows of the others too
        own = indices_of(inputs.selection.test)
        saved = {name: scores.without_others("test", own) for name, scores in saved.items()}
    threshold = Threshold.of(inputs, saved)
    outputs = {}
    for split in inputs.evaluated():
        measured = saved[EVAL].of_split(split)
        require_same_rows(infers[EVAL], inputs, split, measured.source_index.tolist())
        probabilities = yes_probabilities(measured)
        outputs[split] = SplitOutput(
            texts_of_flags(probabilities >= threshold.value, labels),
            labels,
            measured.sums,
            probabilities,
            np.exp(measured.sums).sum(axis=-1).mean(axis=-1),
            threshold=threshold.record,
            has_label_sets=True,
        )
    return outputs


def from_head(infers: Mapping[str, JobFolder], inputs: Inputs, folder: Path) -> dict[str, SplitOutput]:
    """As `from_questions`, of stages in which a head scored labels: no probability falls on anything else."""
    outputs = from_questions(infers, inputs, folder)
    return {split: replace(output, label_mass=None) for split, output in outputs.items()}


def yes_probabilities(saved: SavedScores) -> Scores:
    """(rows, labels) how probable yes is where it is yes or no."""
    sums = saved.sums
    found: Scores = 1 / (1 + np.exp(np.clip(sums[..., 1] - sums[..., 0], -700, 700)))
    return found


def best_threshold(probabilities: Scores, gold: NDArray[np.bool_]) -> float:
    """The threshold with the highest micro F1; of several the one nearest to 0.5, of none 0.5.

    It lies in the middle between two probabilities that are there.

    Args:
        probabilities: (rows, labels).
        gold: (rows, labels) whether the label is there.
    """
    order = np.argsort(-probabilities, axis=None, kind="stable")
    ranked, hits = probabilities.ravel()[order], np.cumsum(gold.ravel()[order])
    if not hits.size or not hits[-1]:
        return 0.5
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    middles = (ranked + np.append(ranked[1:], 0.0)) / 2
    is_between = np.append(ranked[:-1] > ranked[1:], True)
    best = np.flatnonzero(is_between & (f1 >= f1[is_between].max() - 1e-12))
    inside = [0.5 for place in best if (0.0 if place + 1 == len(ranked) else ranked[place + 1]) < 0.5 <= ranked[place]]
    return inside[0] if inside else float(min(middles[best], key=lambda value: abs(value - 0.5)))


def _micro_f1(predicted: NDArray[np.bool_], gold: NDArray[np.bool_]) -> float:
    counted = int(predicted.sum() + gold.sum())
    return 2 * int((predicted & gold).sum()) / counted if counted else 0.0


def _gold(inputs: Inputs, indices: list[int]) -> NDArray[np.bool_]:
    """(rows, labels) which labels rows of the pool have."""
    labels, column = inputs.labels, inputs.config.prompting.output_column
    by_index = rows_at(inputs.selection.pool, indices)
    missing = [index for index in indices if index not in by_index]
    if missing or labels is None:
        raise StageFailure(f"train rows {missing[:5]} were scored and are not in the pool", kind="no_result")
    return flags([by_index[index].text(column) for index in indices], labels.values)
