"""What is evaluated together, and the outputs of several folds as those of all rows.

Each fold has a training, examples or row sets of its own, so it is normalised and calibrated by itself; then its rows
take their places among all rows. Where nothing depends on the fold, all rows are one part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sft.data.rows import Row, indices_of
from sft.evaluation.normalization import Scores
from sft.evaluation.outputs import LabelChoice, SplitOutput
from sft.runs.files import JobFolder
from sft.runs.records import EVAL, JobRecord, StageInput, read_json_or_none
from sft.tasks.inputs import Inputs

TEST = "test"
"""The split of the rows of folds."""


@dataclass(frozen=True)
class Part:
    """The rows of one fold, or all there are, and the stages that serve them.

    Attributes:
        inputs: its rows.
        infers: row set -> finished infer stage.
        train: the finished train stage; None where nothing is trained.
    """

    inputs: Inputs
    infers: Mapping[str, JobFolder]
    train: JobFolder | None

    @cached_property
    def inferences(self) -> Mapping[str, Mapping[str, Any]]:
        """Row set -> what its infer stage recorded."""
        return {name: read_json_or_none(infer.inference) for name, infer in self.infers.items()}

    @cached_property
    def training(self) -> Mapping[str, Any] | None:
        """What the train stage recorded."""
        return None if self.train is None else read_json_or_none(self.train.training)

    @property
    def shots(self) -> Sequence[Row]:
        """The shots, where they have an effect."""
        return self.inputs.shots_in_use

    def examples(self, split: str) -> Mapping[int, Sequence[int]]:
        """`source_index` of each evaluated row -> those of its in-context examples."""
        found = self.inferences[EVAL]["examples"][split]
        rows = self.inputs.evaluated()[split]
        return dict(zip(indices_of(rows), found, strict=True)) if len(found) == len(rows) else {}


def parts_of(job: JobFolder, record: JobRecord, inputs: Inputs) -> list[Part]:
    """The parts of an evaluate stage, one for each fold that has stages of its own.

    Args:
        job: its folder.
        record: its job.
        inputs: all rows.
    """
    found = []
    for fold in record.folds:
        train = record.input_folder(StageInput("train", fold=fold).name, job.path)
        infers = {name: JobFolder(path) for name, path in record.infer_folders(job.path, fold).items()}
        found.append(Part(inputs.part(fold), infers, None if train is None else JobFolder(train)))
    return found


def joined(
    inputs: Inputs, parts: Sequence[Part], outputs: Sequence[Mapping[str, SplitOutput]]
) -> dict[str, SplitOutput]:
    """The outputs of all rows by split, in the order of the rows.

    Args:
        inputs: all rows.
        parts: of the experiment.
        outputs: of each part.
    """
    if not inputs.splits.folds:
        return dict(outputs[0])
    folds = [inputs.splits.fold_of[index] for index in indices_of(inputs.selection.test)]
    if len(parts) == 1:
        return {TEST: replace(outputs[0][TEST], folds=folds)}
    found = [index for part in parts for index in indices_of(part.inputs.selection.test)]
    place_of = {index: place for place, index in enumerate(found)}
    order = [place_of[index] for index in indices_of(inputs.selection.test)]
    return {TEST: replace(_joined([output[TEST] for output in outputs], order), folds=folds)}


def _joined(outputs: Sequence[SplitOutput], order: Sequence[int]) -> SplitOutput:
    """Args: of each fold; for each row its place among the rows of the folds one after the other."""
    predictions = [text for output in outputs for text in output.predictions]
    plain = [output.uncalibrated for output in outputs if output.uncalibrated is not None]
    return SplitOutput(
        [predictions[place] for place in order],
        outputs[0].labels,
        _ordered([output.label_logprobs for output in outputs], order),
        _ordered([output.probabilities for output in outputs], order),
        _ordered([output.label_mass for output in outputs], order),
        _joined_choice(plain, order) if plain else None,
        _joined_record([output.calibration for output in outputs if output.calibration is not None]),
        token_sums=_ordered([output.token_sums for output in outputs], order),
        threshold=_joined_threshold([output.threshold for output in outputs if output.threshold is not None]),
        has_label_sets=outputs[0].has_label_sets,
    )


def _joined_threshold(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What each fold found, as lists with a place per fold, and all that was warned of."""
    if not records:
        return None
    warnings = list(dict.fromkeys(text for record in records for text in record["warnings"]))
    lists = {key: [record[key] for record in records] for key in records[0] if key not in ("row_set", "trained_on")}
    return {**records[0], **lists, "warnings": warnings}


def _joined_choice(choices: Sequence[LabelChoice], order: Sequence[int]) -> LabelChoice:
    """What the scores choose without the calibrator; the order is that of `_joined`."""
    predictions = [text for choice in choices for text in choice.predictions]
    probabilities = np.concatenate([choice.probabilities for choice in choices])[list(order)]
    return LabelChoice([predictions[place] for place in order], probabilities)


def _ordered(arrays: Sequence[Scores | None], order: Sequence[int]) -> Scores | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there)[list(order)] if there else None


def _joined_record(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What calibration did in each fold: what is the same once, what differs as a list, a place per fold."""
    if not records:
        return None
    first = records[0]
    return {
        **first,
        "row_sets": {name: sum(record["row_sets"][name] for record in records) for name in first["row_sets"]},
        "train_indices": {
            name: [record["train_indices"][name] for record in records] for name in first["train_indices"]
        },
        "fitted": [record["fitted"] for record in records],
        "warnings": list(dict.fromkeys(text for record in records for text in record["warnings"])),
    }
