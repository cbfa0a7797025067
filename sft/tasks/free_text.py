"""What the task types share whose answer is a text of its own: a row's output column is one reference for it."""

from sft.config.dataset import DatasetConfig
from sft.data.rows import Row, Splits
from sft.labels.label_set import LabelSet
from sft.tasks.task import Setting, Task

_SETTINGS: frozenset[Setting] = frozenset(
    {
        "inference.generation_args",
        "inference.tokenizer_name",
        "evaluation.tokenizer_name",
        "prompting.max_output_length",
    }
)


def free_text_task(
    name: str,
    objectives: tuple[str, ...],
    default_metrics: tuple[str, ...],
    baselines: tuple[str, ...] = (),
    instruction: str = Task.instruction,
) -> Task:
    """A task type whose answer is free text.

    Args:
        name: in `dataset.task_type`.
        objectives: as in `Task`.
        default_metrics: as in `Task`.
        baselines: as in `Task`.
        instruction: as in `Task`.
    """
    return Task(
        name=name,
        objectives=objectives,
        output="texts",
        settings=_SETTINGS,
        counts_per_label=False,
        default_metrics=default_metrics,
        label_set=no_labels,
        answer=reference,
        baselines=baselines,
        instruction=instruction,
    )


def no_labels(_dataset: DatasetConfig, _splits: Splits, _column: str) -> None:
    """There is no closed set of answers."""


def reference(row: Row, output_column: str, _labels: LabelSet | None) -> str:
    """The text of the output column."""
    return row.text(output_column)
