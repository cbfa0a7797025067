"""Classification: the answer is one of a closed set of label words, chosen by their log-probabilities."""

from sft.config.dataset import DatasetConfig
from sft.data.rows import Row, Splits, texts_of
from sft.labels.label_set import LabelSet, resolve_labels
from sft.tasks.task import Task


def _label_set(dataset: DatasetConfig, splits: Splits, column: str) -> LabelSet:
    train_values = None
    if splits.train is not None and dataset.labels is None:
        splits.train.require(column)
        train_values = set(texts_of(splits.train.rows, column))
    return resolve_labels(dataset.labels, train_values, splits.class_names.get(column))


def _label_word(row: Row, output_column: str, labels: LabelSet | None) -> str:
    if labels is None:
        raise ValueError("classification needs a label set")
    return labels.word(row.text(output_column))


TASK = Task(
    name="classification",
    objectives=("causal_lm", "seq2seq", "sequence_head"),
    output="label_scores",
    settings=frozenset(
        {"dataset.labels", "inference.label_scoring", "inference.calibration_args", "evaluation.baseline_encoder"}
    ),
    counts_per_label=True,
    examples_per_label=True,
    default_metrics=("macro_f1", "accuracy", "weighted_f1", "mcc", "log_loss", "ece"),
    label_set=_label_set,
    answer=_label_word,
    baselines=("majority class", "TF-IDF + logistic regression", "embeddings + logistic regression"),
    instruction="Classify the text by {column}. Answer with one of: {labels}.",
)
