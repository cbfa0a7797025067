"""The tables of docs/tasks.md, made from what task types and objectives say of themselves.

python -m tests.support.task_tables    # writes them to the page
"""

from collections.abc import Iterator
from pathlib import Path

from sft.models.config_file import KINDS
from sft.models.objective import Objective
from sft.objectives import objective_named, objective_registry
from sft.registry import import_object
from sft.tasks import task_registry
from sft.tasks.task import Task
from tests.support.method_tables import table, written

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tasks.md"
OUTPUTS = {
    "label_scores": "label and probabilities",
    "label_sets": "list of labels, each by itself",
    "texts": "text",
    "token_sums": "perplexity of the row",
}
READS = {
    "prompt": "a prompt that the answer follows",
    "text": "its text alone",
    "source": "a prompt of an encoder, whose decoder writes the answer",
}


def tasks_table() -> list[str]:
    tasks: list[Task] = [import_object(target) for target in task_registry.values()]
    rows = [
        [
            f"`{task.name}`",
            ", ".join(f"`{name}`" for name in task.objectives),
            OUTPUTS[task.output],
            " ".join(f"`{name}`" for name in task.default_metrics),
            "per label" if task.counts_per_label else "in total",
        ]
        for task in tasks
    ]
    return table(["task type", "objectives", "predictions", "metrics by default", "shots count"], *rows)


def objectives_table() -> list[str]:
    rows = [
        [
            f"`{objective.name}`",
            f"`{objective.auto_class}`",
            ", ".join(KINDS[kind] for kind in objective.model_kinds),
            READS[objective.reads],
            without_effect(objective),
        ]
        for objective in map(objective_named, objective_registry)
    ]
    return table(["objective", "`model.auto_class`", "models", "a row is read as", "no effect here"], *rows)


def without_effect(objective: Objective) -> str:
    """The settings of an objective's `without_effect`; of those that `inference.prompting` repeats only the first."""
    paths = sorted(path for path in objective.without_effect if not path.startswith("inference.prompting."))
    return ", ".join(f"`{path}`" for path in paths)


def task_tables() -> Iterator[tuple[str, list[str]]]:
    """Heading of a section of the page -> its table."""
    yield "Task types", tasks_table()
    yield "Objectives", objectives_table()


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8"), task_tables()), "utf-8")
