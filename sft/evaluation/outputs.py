"""What an infer stage left, as predictions: the argmax of label probabilities, or the generated texts."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sft.errors import StageFailure
from sft.evaluation.predictions import label_probabilities
from sft.runs.files import JobFolder
from sft.tasks.inputs import Inputs

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class SplitOutput:
    """The outputs for the evaluated rows of one split, in their order."""

    predictions: list[str]
    """Predicted gold values, or generated texts."""
    labels: tuple[str, ...] | None = None
    label_logprobs: Scores | None = None
    """(rows, labels), in nats: label and stop ids summed."""
    probabilities: Scores | None = None
    """(rows, labels)."""

    def by_label(self, scores: Scores | None, index: int) -> dict[str, float] | None:
        """One row's numbers by label."""
        if scores is None or self.labels is None:
            return None
        return dict(zip(self.labels, scores[index].tolist(), strict=True))


def read_outputs(infer: JobFolder, inputs: Inputs) -> dict[str, SplitOutput]:
    """The outputs by split.

    Raises:
        StageFailure: they are not those of the evaluated rows.
    """
    if inputs.task.output == "label_scores":
        return _from_scores(infer, inputs)
    return _from_texts(infer, inputs)


def _from_scores(infer: JobFolder, inputs: Inputs) -> dict[str, SplitOutput]:
    if inputs.labels is None:
        raise ValueError("label scores need a label set")
    labels = inputs.labels.values
    outputs = {}
    with np.load(infer.scores, allow_pickle=False) as scores:
        for split in inputs.evaluated():
            chosen = scores["splits"] == split
            _require_same_rows(infer, inputs, split, scores["source_index"][chosen].tolist())
            found = label_probabilities(scores["answer_logprobs"][chosen], scores["stop_logprobs"][chosen])
            predictions = [labels[best] for best in found.best.tolist()]
            outputs[split] = SplitOutput(predictions, labels, found.logprobs, found.probabilities)
    return outputs


def _from_texts(infer: JobFolder, inputs: Inputs) -> dict[str, SplitOutput]:
    with infer.texts.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    outputs = {}
    for split in inputs.evaluated():
        own = [record for record in records if record["split"] == split]
        _require_same_rows(infer, inputs, split, [record["source_index"] for record in own])
        outputs[split] = SplitOutput([record["text"] for record in own])
    return outputs


def _require_same_rows(infer: JobFolder, inputs: Inputs, split: str, found: list[int]) -> None:
    if found != [row.source_index for row in inputs.evaluated()[split]]:
        raise StageFailure(f"{infer.path} holds other {split} rows than this experiment evaluates", kind="no_result")
