"""Generation: the answer is free text."""

from sft.config.dataset import DatasetConfig
from sft.data.rows import Row, Splits
from sft.labels.label_set import LabelSet
from sft.tasks.task import Task


def _no_labels(_dataset: DatasetConfig, _splits: Splits, _column: str) -> None:
    return None


def _reference(row: Row, output_column: str, _labels: LabelSet | None) -> str:
    return row.text(output_column)


TASK = Task(
    name="generation",
    objectives=("causal_lm",),
    output="texts",
    settings=frozenset(
        {
            "inference.generation_args",
            "inference.tokenizer_name",
            "evaluation.tokenizer_name",
            "prompting.max_output_length",
        }
    ),
    counts_per_label=False,
    default_metrics=("rougeL", "rouge1", "rouge2", "bleu", "chrf", "exact_match"),
    label_set=_no_labels,
    answer=_reference,
)
