"""How the rows of an infer stage are answered: what every way offers, and the way of an experiment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sft.config.experiment import ExperimentConfig
from sft.inference.label_scoring.grouping import PassLimits
from sft.objectives import objective_of
from sft.prompts import Encoded
from sft.registry import import_object
from sft.runs.files import JobFolder
from sft.tasks.inputs import Inputs, task_of
from sft.tasks.prompting import PromptedRow, PromptMaker, StagePrompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_STEPS = 4
"""Halvings of an automatic size."""


@dataclass(frozen=True)
class Asked:
    """What an infer stage asks of a model."""

    inputs: Inputs
    maker: PromptMaker
    model: "PreTrainedModel"
    rows: Mapping[str, Sequence[PromptedRow]]
    """By the split they belong to."""
    limits: PassLimits
    progress: Callable[[int, int], None]
    """Called with the rows done and all rows."""
    rows_before: int = 0
    """Rows that were asked about before, of which these go on; what is drawn at random is drawn as theirs goes on."""

    @property
    def prompts(self) -> list[Encoded]:
        """Those of all rows, in their order."""
        return [row.encoded for rows in self.rows.values() for row in rows]

    @property
    def places(self) -> list[tuple[str, int]]:
        """Split and `source_index` of all rows, in their order."""
        return [(split, row.row.source_index) for split, rows in self.rows.items() for row in rows]


class Answered(NamedTuple):
    """What an infer stage left."""

    result: Path
    slow_reason: str | None = None
    """Why a slower way was taken; None where none was."""


class Answering(Protocol):
    """One way of answering; its module imports nothing heavy."""

    def has_step(self, config: ExperimentConfig, step: int) -> bool:
        """Whether there is a way to run after `step` steps towards less memory; 0 is as configured."""
        ...

    def rows_at_once(self, config: ExperimentConfig, step: int, device: str) -> int | None:
        """The most rows of a forward pass after `step` steps on a kind of device (`cpu`, `cuda`); None is no limit."""
        ...

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """The most tokens that an answer may need after its prompt."""
        ...

    def answer(self, asked: Asked, job: JobFolder) -> Answered:
        """Run the rows through the model and write its answers to the job's folder."""
        ...


class BoundedByTokens:
    """What ways share whose answers depend on how much runs at once by rounding alone: tokens bound a pass."""

    def has_step(self, config: ExperimentConfig, step: int) -> bool:
        """Whatever batch size is written."""
        return step <= MOST_STEPS

    def rows_at_once(self, config: ExperimentConfig, step: int, device: str) -> int | None:
        """What is written, halved by each step; no limit where nothing is."""
        written = config.inference.batch_size
        return None if written is None else max(1, written >> step)


def answering_of(config: ExperimentConfig) -> Answering:
    """The way that the objective of an experiment takes to the outputs that its task type wants."""
    task = task_of(config)
    found: Any = import_object(objective_of(config, task.objectives).answers[task.output].infer)
    answering: Answering = found
    return answering
