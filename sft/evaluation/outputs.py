"""What infer stages left, as predictions: the argmax of label probabilities, or the generated texts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sft.data.rows import indices_of
from sft.evaluation.calibrating import Calibration
from sft.evaluation.metrics.formulas import perplexity
from sft.evaluation.normalization import SavedScores, Scores, ScoringRule, label_probabilities
from sft.exceptions import StageFailure
from sft.objectives import objective_of
from sft.registry import import_object
from sft.runs.array_files import read_arrays
from sft.runs.files import JobFolder
from sft.runs.records import EVAL
from sft.tasks.inputs import Inputs
from sft.tasks.row_sets import PMI_ROWS


@dataclass(frozen=True)
class LabelChoice:
    """Label probabilities and what they choose: of equally probable labels the first."""

    predictions: list[str]
    """Gold values."""
    probabilities: Scores
    """(rows, labels)."""

    @classmethod
    def of(cls, scores: Scores, labels: tuple[str, ...]) -> "LabelChoice":
        """The choice by (rows, labels) scores."""
        probabilities = label_probabilities(scores)
        return cls([labels[best] for best in probabilities.argmax(axis=1).tolist()], probabilities)


@dataclass(frozen=True)
class SplitOutput:
    """The outputs for the evaluated rows of one split, in their order."""

    predictions: list[str]
    """Predicted gold values, or generated texts."""
    labels: tuple[str, ...] | None = None
    label_logprobs: Scores | None = None
    """(rows, labels), in nats: label and stop ids summed, as they were measured."""
    probabilities: Scores | None = None
    """(rows, labels), normalised and calibrated: `predictions` is their argmax."""
    label_mass: Scores | None = None
    """(rows,) how much probability falls on any label."""
    uncalibrated: LabelChoice | None = None
    """What the same scores choose without the calibrator; None where there is none."""
    calibration: dict[str, Any] | None = None
    """What the calibrator did."""
    folds: list[int] | None = None
    """The fold of each row, from 0; None without folds."""
    token_sums: Scores | None = None
    """(rows, 2) sum of the log-probabilities of a row's tokens, in nats, and their number; None but of texts that are
    measured whole."""
    threshold: dict[str, Any] | None = None
    """How the least probability of a predicted label was found, where it was."""
    has_label_sets: bool = False
    """Whether rows have any number of labels: `predictions` are then texts of `label_sets.set_text`, probabilities are
    those of each label by itself, and `label_logprobs` (rows, labels, 2) those of yes and no."""

    def by_label(self, scores: Scores | None, index: int) -> dict[str, Any] | None:
        """One row's numbers by label."""
        if scores is None or self.labels is None:
            return None
        return dict(zip(self.labels, scores[index].tolist(), strict=True))


def read_outputs(infers: Mapping[str, JobFolder], inputs: Inputs, folder: Path) -> dict[str, SplitOutput]:
    """The outputs by split, as the objective says.

    Args:
        infers: the finished infer stage of each row set.
        inputs: the experiment's rows.
        folder: what local paths are relative to, for an own calibrator.

    Raises:
        StageFailure: they are not those of the evaluated rows.
    """
    objective = objective_of(inputs.config, inputs.task.objectives)
    read = import_object(objective.answers[inputs.task.output].read)
    outputs: dict[str, SplitOutput] = read(infers, inputs, folder)
    return outputs


def from_scores(infers: Mapping[str, JobFolder], inputs: Inputs, folder: Path) -> dict[str, SplitOutput]:
    """As `read_outputs`, of stages that scored labels."""
    if inputs.labels is None:
        raise ValueError("label scores need a label set")
    labels, scoring = inputs.labels.values, inputs.config.inference.label_scoring
    saved = {name: SavedScores.read(infer.scores) for name, infer in infers.items()}
    if inputs.fold is not None:  # a stage that serves all folds has the rows of the others too
        own = indices_of(inputs.selection.test)
        saved = {name: scores.without_others("test", own) for name, scores in saved.items()}
    without_input = saved.get(PMI_ROWS) if scoring.normalization == "pmi" else None
    rule = ScoringRule(inputs.labels.words, scoring.normalization, scoring.end_token, without_input)
    calibration = Calibration.of(inputs, folder)
    outputs = {}
    for split in inputs.evaluated():
        measured = saved[EVAL].of_split(split)
        require_same_rows(infers[EVAL], inputs, split, measured.source_index.tolist())
        plain = LabelChoice.of(rule.scores(measured), labels)
        calibrated = None if calibration is None else calibration.run(split, saved, rule)
        chosen = plain if calibrated is None else LabelChoice.of(calibrated.scores, labels)
        outputs[split] = SplitOutput(
            chosen.predictions,
            labels,
            measured.sums,
            chosen.probabilities,
            measured.label_mass,
            None if calibrated is None else plain,
            None if calibrated is None else calibrated.record,
        )
    return outputs


def from_head(infers: Mapping[str, JobFolder], inputs: Inputs, folder: Path) -> dict[str, SplitOutput]:
    """As `from_scores`, of stages in which a head scored labels: no probability falls on anything else."""
    outputs = from_scores(infers, inputs, folder)
    return {split: replace(output, label_mass=None) for split, output in outputs.items()}


def from_texts(infers: Mapping[str, JobFolder], inputs: Inputs, _folder: Path) -> dict[str, SplitOutput]:
    """As `read_outputs`, of stages that wrote texts."""
    infer = infers[EVAL]
    with infer.texts.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    outputs = {}
    for split in inputs.evaluated():
        own = [record for record in records if record["split"] == split]
        require_same_rows(infer, inputs, split, [record["source_index"] for record in own])
        outputs[split] = SplitOutput([record["text"] for record in own])
    return outputs


def from_token_sums(infers: Mapping[str, JobFolder], inputs: Inputs, _folder: Path) -> dict[str, SplitOutput]:
    """As `read_outputs`, of stages that measured whole texts; what is predicted is the row's own perplexity."""
    saved = read_arrays(infers[EVAL].scores)
    outputs = {}
    for split in inputs.evaluated():
        own = saved["splits"] == split
        if split == "test" and inputs.fold is not None:  # a stage that serves all folds has the rows of the others too
            own &= np.isin(saved["source_index"], indices_of(inputs.selection.test))
        require_same_rows(infers[EVAL], inputs, split, saved["source_index"][own].tolist())
        sums = np.stack([saved["token_logprobs"][own], saved["tokens"][own].astype(np.float64)], axis=1)
        outputs[split] = SplitOutput([f"{number:.6g}" for number in perplexity(sums.T)], token_sums=sums)
    return outputs


def require_same_rows(infer: JobFolder, inputs: Inputs, split: str, found: list[int]) -> None:
    """Make sure that a stage answered the evaluated rows of a split.

    Args:
        infer: the stage.
        inputs: the experiment's rows.
        split: of them.
        found: `source_index` of each row that was answered, in order.

    Raises:
        StageFailure: it answered others.
    """
    if found != [row.source_index for row in inputs.evaluated()[split]]:
        raise StageFailure(f"{infer.path} holds other {split} rows than this experiment evaluates", kind="no_result")
