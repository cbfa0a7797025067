"""Multilabel classification: a row has any number of a closed set of labels, each judged by itself."""

from collections.abc import Sequence
from functools import partial

from sft.config.dataset import DatasetConfig
from sft.config.prompting import PromptingConfig
from sft.data.cells.label_lists import GoldColumn, label_lists
from sft.data.rows import Row, Splits, texts_of
from sft.data.sampling import random_for, shuffled
from sft.labels.label_set import LabelSet, resolve_labels
from sft.labels.label_sets import members
from sft.prompts.inputs import InputTemplate
from sft.tasks.task import Questions, Task

YES, NO = "yes", "no"
LABEL_FIELD = "label"


def _label_set(dataset: DatasetConfig, splits: Splits, column: str) -> LabelSet:
    train_values = None
    if splits.train is not None and dataset.labels is None:
        splits.train.require(column)
        train_values = {value for text in set(texts_of(splits.train.rows, column)) for value in members(text)}
    return resolve_labels(dataset.labels, train_values, splits.class_names.get(column), least=1)


def _gold_column(dataset: DatasetConfig, column: str) -> GoldColumn:
    return partial(label_lists, name=column, separator=dataset.labels_separator)


def _answer(row: Row, output_column: str, _labels: LabelSet | None) -> str:
    return row.text(output_column)


def _questions(labels: LabelSet, prompting: PromptingConfig) -> tuple[str, ...]:
    template = InputTemplate(prompting.label_template, [LABEL_FIELD])
    return tuple(template.filled({LABEL_FIELD: word}) for word in labels.words)


def _answers(row: Row, column: str, labels: LabelSet) -> tuple[str, ...]:
    own = set(members(row.text(column)))
    return tuple(YES if value in own else NO for value in labels.values)


def _trained(row: Row, column: str, labels: LabelSet, negatives: int, seed: int) -> tuple[int, ...]:
    """All labels that the row has, and up to `negatives` of the others, drawn for this row, the few among the many."""
    own = set(members(row.text(column)))
    others = [place for place, value in enumerate(labels.values) if value not in own]
    drawn = shuffled(others, random_for("negatives", seed, row.source_index))[:negatives]
    return tuple(sorted({*(labels.index(value) for value in own), *drawn}))


def _head_target(text: str, labels: Sequence[str]) -> tuple[int, ...]:
    """1 for each label that the row has, else 0."""
    own = set(members(text))
    return tuple(int(label in own) for label in labels)


TASK = Task(
    name="multilabel",
    objectives=("causal_lm", "sequence_head"),
    output="label_sets",
    settings=frozenset(
        {
            "dataset.labels",
            "dataset.labels_separator",
            "dataset.negatives",
            "prompting.label_template",
            "inference.threshold",
        }
    ),
    counts_per_label=True,
    default_metrics=("micro_f1", "macro_f1", "subset_accuracy", "hamming_loss"),
    label_set=_label_set,
    answer=_answer,
    gold_column=_gold_column,
    values_in=members,
    head_target=_head_target,
    has_label_sets=True,
    baselines=("most frequent label set", "TF-IDF one-vs-rest"),
    questions=Questions(_questions, (YES, NO), _answers, _trained),
    instruction="Say whether the label after the text applies to it: yes or no.",
)
