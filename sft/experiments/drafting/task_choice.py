"""Which task type brought data are for: the one that is written, or one that fits what the columns hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from sft.config.dataset import DatasetConfig
from sft.data.cells.label_lists import split_labels
from sft.exceptions import UserError
from sft.experiments.drafting.columns import are_labels, column_texts, free_text
from sft.experiments.drafting.reading import BroughtData
from sft.tasks import task_registry
from sft.tasks.inputs import task_named
from sft.tasks.task import Task
from sft.wording import listed, quoted

ONE_LABEL, ANY_LABELS, FREE_TEXT, WHOLE = "classification", "multilabel", "generation", "text"
SEPARATORS = (";", "|", ",")
"""What may stand between the labels of a cell, the likeliest first."""


@dataclass(frozen=True)
class TaskChoice:
    """A task type, and how its gold is read.

    Attributes:
        task: the task type.
        why: what the column holds, in words.
        separator: `dataset.labels_separator`; None where none is needed.
    """

    task: Task
    why: str
    separator: str | None = None

    def with_gold(self, data: BroughtData, label: str) -> BroughtData:
        """The data with the gold of the output column in place of its cells.

        Raises:
            DataError: a cell holds none.
        """
        dataset = DatasetConfig(path=data.path, task_type=self.task.name, labels_separator=self.separator)
        return data.with_gold(label, self.task.gold_column(dataset, label))


def written_task(name: str | None) -> Task | None:
    """The task type of `--task`; None where it is not written.

    Raises:
        UserError: there is none of this name.
    """
    if name is not None and name not in task_registry:
        raise UserError(f"--task {name!r}: must be one of {listed(task_registry)}")
    return None if name is None else task_named(name)


def reads_whole(data: BroughtData, inputs: Sequence[str], written: Task | None) -> bool:
    """Whether a column is learned whole: where that is written, or where there is no other and nothing to answer."""
    if written is not None:
        return written.reads == "whole"
    return not inputs and len(data.columns) == 1 and not data.turns()


def task_choice(data: BroughtData, label: str, written: Task | None, *, is_whole: bool) -> TaskChoice:
    """The task type of data with checked columns.

    Args:
        data: what was brought.
        label: the output column.
        written: the task type that `--task` names; None = by what the column holds.
        is_whole: whether the column is learned whole.

    Raises:
        UserError: the task type takes any number of labels, and the cells hold none.
    """
    if is_whole:
        texts = len(column_texts(data, label))
        return TaskChoice(task_named(WHOLE), f"{quoted(label)} is learned whole, {texts:,} texts")
    if written is None or written.has_label_sets:
        found = _label_sets(data, label)
        if found is not None:
            return found
    if written is not None and written.has_label_sets:
        joined = " ".join(SEPARATORS)
        raise UserError(
            f"--task {written.name}: {quoted(label)} holds neither lists nor labels joined by one of {joined}"
        )
    is_text, told = free_text(data, label)
    return TaskChoice(written or task_named(FREE_TEXT if is_text else ONE_LABEL), told)


def _label_sets(data: BroughtData, label: str) -> TaskChoice | None:
    """A choice where the cells hold any number of labels of a closed set; None where they do not."""
    cells = column_texts(data, label)
    for separator in (None, *SEPARATORS):
        rows = [split_labels(cell, separator) for cell in cells]
        sets = [row for row in rows if row is not None]
        labels = [value for row in sets for value in row]
        # Parts that are no fewer than the cells they come from are no labels that come back in other company.
        recur = separator is None or len(set(labels)) < len(set(cells))
        if len(sets) == len(rows) and max(map(len, sets)) > 1 and recur and are_labels(labels):
            how = "lists of labels" if separator is None else f"labels joined by {separator!r}"
            told = f"{quoted(label)} holds {how}, {len(set(labels)):,} different ones in {len(rows):,} rows"
            return TaskChoice(task_named(ANY_LABELS), told, separator)
    return None
