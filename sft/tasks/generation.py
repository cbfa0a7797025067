"""Generation: the answer is free text."""

from sft.data.rows import Row
from sft.labels.label_set import LabelSet
from sft.tasks.task import Task


def _reference(row: Row, output_column: str, _labels: LabelSet | None) -> str:
    return row.text(output_column)


TASK = Task(
    name="generation",
    objectives=("causal_lm",),
    output="texts",
    default_metrics=("rougeL", "rouge1", "rouge2", "bleu", "chrf", "exact_match"),
    has_labels=False,
    answer=_reference,
)
