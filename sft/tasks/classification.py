"""Classification: the answer is one of a closed set of label words, chosen by their log-probabilities."""

from sft.data.rows import Row
from sft.labels.label_set import LabelSet
from sft.tasks.task import Task


def _label_word(row: Row, output_column: str, labels: LabelSet | None) -> str:
    if labels is None:
        raise ValueError("classification needs a label set")
    return labels.word(row.text(output_column))


TASK = Task(
    name="classification",
    objectives=("causal_lm",),
    output="label_scores",
    default_metrics=("macro_f1", "accuracy", "weighted_f1", "mcc", "log_loss", "ece"),
    has_labels=True,
    answer=_label_word,
)
