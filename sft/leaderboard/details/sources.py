"""The files of a finished experiment that its details are made of; one that is gone or damaged is as an empty one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sft.config.canonical import json_text
from sft.evaluation.predictions import FOLD, has_folds, our_columns, prompt_column, read_predictions, stored_name
from sft.evaluation.rows import matches
from sft.leaderboard.collect import ExperimentRecord, finite_number
from sft.runs.experiments import stage_folder
from sft.runs.files import JobFolder
from sft.runs.records import StageName, read_json_or_none


@dataclass(frozen=True)
class PredictedRow:
    """One line of `predictions.jsonl`.

    Attributes:
        index: position among the evaluated rows of its split.
        columns: of the data, by the names that records have, without the gold one.
        gold: the output column, as labels are compared.
        prediction: the label or the generated text.
        probabilities: by label; empty in generation.
        source_index: position in the split; None in records that do not tell.
        gold_set: the labels of the gold; None where a row has one.
        said_set: likewise, of the prediction.
        is_match: of a generated text whether `exact_match`, with the arguments of its experiment, takes it for the
            gold; None where there are labels.
    """

    index: int
    columns: Mapping[str, Any]
    gold: str
    prediction: str
    probabilities: Mapping[str, float]
    source_index: int | None = None
    gold_set: tuple[str, ...] | None = None
    said_set: tuple[str, ...] | None = None
    is_match: bool | None = None

    def has_gold(self, label: str) -> bool:
        """Whether the gold is a label, or holds it."""
        return label == self.gold.strip() if self.gold_set is None else label in self.gold_set

    def has_said(self, label: str) -> bool:
        """Whether the prediction is a label, or holds it."""
        return label == self.prediction.strip() if self.said_set is None else label in self.said_set

    @property
    def gold_probability(self) -> float | None:
        """How probable the gold is; of several labels, each by itself, exactly these."""
        return self._probability(self.gold, self.gold_set)

    @property
    def said_probability(self) -> float | None:
        """Likewise, of the prediction."""
        return self._probability(self.prediction, self.said_set)

    def _probability(self, text: str, labels: tuple[str, ...] | None) -> float | None:
        known = self.probabilities
        if labels is None or not known:
            return known.get(text)
        return math.prod(value if label in labels else 1 - value for label, value in known.items())

    @property
    def is_correct(self) -> bool:
        """Whether the prediction counts as right: where nothing else is known, equal but for white space around it."""
        return self.prediction.strip() == self.gold.strip() if self.is_match is None else self.is_match


@dataclass(frozen=True)
class TrainingPoint:
    """One entry of the loss curve with what the steps before it cost; None where the training did not record it.

    Attributes:
        step: optimiser steps taken.
        loss: the training objective since the entry before, in nats.
        learning_rate: of the step.
        grad_norm: before clipping.
        tokens_per_second: of prompts and answers, while steps were taken.
        peak_bytes: the most memory so far, of the GPU where there is one.
    """

    step: int
    loss: float
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    peak_bytes: float | None = None


def predicted_rows(record: ExperimentRecord, split: str = "test") -> list[PredictedRow]:
    """The predictions of a split, in order."""
    of_folds = has_folds(record.config)
    column = stored_name(str(record.setting("prompting.output_column")), of_folds=of_folds)
    ours = our_columns(of_folds=of_folds)
    try:
        lines = read_predictions(JobFolder(record.folder).predictions(split, "jsonl"))
        rows = [_predicted_row(line, column, ours) for line in lines]
        return rows if any(row.probabilities for row in rows) else _matched(rows, record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _matched(rows: Sequence[PredictedRow], record: ExperimentRecord) -> list[PredictedRow]:
    """Generated texts, told right and wrong as the metrics of the experiment tell them."""
    texts, golds = [row.prediction for row in rows], [row.gold for row in rows]
    found = matches(texts, golds, record.setting("evaluation") or {})
    return [replace(row, is_match=is_match) for row, is_match in zip(rows, found.tolist(), strict=True)]


def input_columns(record: ExperimentRecord) -> list[str]:
    """The columns that the model reads, as predictions have them: of a conversation the turns before the answer."""
    columns = record.setting("prompting.input_columns")
    output = record.setting("prompting.output_column")
    if columns == [output]:
        return [prompt_column(output)]
    return [str(column) for column in columns] if isinstance(columns, list) else []


def input_texts(row: PredictedRow, columns: Sequence[str]) -> dict[str, str]:
    """The texts of columns by name, as far as the record keeps them."""
    ours = our_columns(of_folds=f"data.{FOLD}" in row.columns)
    stored = {name: f"data.{name}" if name in ours else name for name in columns}
    return {name: json_text(row.columns[place]) for name, place in stored.items() if place in row.columns}


def training_curve(record: ExperimentRecord) -> list[TrainingPoint]:
    """The entries of the loss curve that have a loss; empty where nothing was trained."""
    written = _stage_file(record, "train")
    costs = {point.get("step"): point for point in _list_in(written, "cost_curve")}
    return [
        TrainingPoint(
            step,
            float(loss),
            finite_number(point.get("learning_rate")),
            finite_number(point.get("grad_norm")),
            finite_number(cost.get("tokens_per_second")),
            finite_number(cost.get("peak_gpu_bytes") or cost.get("peak_rss_bytes")),
        )
        for point in _list_in(written, "loss_curve")
        if isinstance(step := point.get("step"), int) and (loss := finite_number(point.get("loss"))) is not None
        for cost in [costs.get(step, {})]
    ]


def sample_prompts(record: ExperimentRecord) -> Sequence[str]:
    """Prompts of the first evaluated rows, as the model saw them."""
    return [str(prompt["text"]) for prompt in _list_in(_stage_file(record, "infer"), "prompts") if "text" in prompt]


def _stage_file(record: ExperimentRecord, stage: StageName) -> Any:
    """What the train stage, or the infer stage of the evaluated rows, tells of itself."""
    folder = stage_folder(JobFolder(record.folder), stage)
    if folder is None:
        return None
    return read_json_or_none(folder.training if stage == "train" else folder.sample)


def _list_in(written: Any, key: str) -> list[Mapping[str, Any]]:
    found = written.get(key) if isinstance(written, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _predicted_row(line: Mapping[str, Any], column: str, ours: Sequence[str]) -> PredictedRow:
    has_sets = isinstance(line["predictions"], list)
    gold_set, said_set = (tuple(map(json_text, line[name])) if has_sets else None for name in (column, "predictions"))
    return PredictedRow(
        index=int(line["index"]),
        columns={name: value for name, value in line.items() if name not in ours and name != column},
        gold=json_text(line[column]),
        prediction=json_text(line["predictions"]),
        probabilities=dict(line.get("probabilities") or {}),
        source_index=line.get("source_index"),
        gold_set=gold_set,
        said_set=said_set,
    )
