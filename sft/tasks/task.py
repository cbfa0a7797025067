"""What every task type declares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sft.data.rows import Row
from sft.labels.label_set import LabelSet


@dataclass(frozen=True)
class Task:
    """A task type."""

    name: str
    objectives: tuple[str, ...]
    """The objectives by which a model may answer; the first where nothing is said."""
    output: Literal["label_scores", "texts"]
    """What an infer stage computes for a row."""
    default_metrics: tuple[str, ...]
    """Metrics where the config names none; the first ranks."""
    has_labels: bool
    """Whether rows belong to a closed set of labels, so that shots and examples count per label."""
    answer: Callable[[Row, str, LabelSet | None], str]
    """The text the model should write for a row, from its output column."""

    @property
    def objective(self) -> str:
        """The objective in force."""
        return self.objectives[0]
