"""What every task type declares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from sft.config.dataset import DatasetConfig
from sft.data.rows import Row, Splits
from sft.labels.label_set import LabelSet
from sft.models.objective import Output, RowForm

Setting = Literal[
    "inference.generation_args",
    "inference.tokenizer_name",
    "evaluation.tokenizer_name",
    "evaluation.baseline_encoder",
    "dataset.labels",
    "prompting.max_output_length",
    "inference.label_scoring",
    "inference.calibration_args",
]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
"""Parts of a config that have an effect with some task types only."""


@dataclass(frozen=True)
class Task:
    """A task type."""

    name: str
    objectives: tuple[str, ...]
    """The objectives by which a model may answer; where nothing is said, the first that its kind can."""
    output: Output
    """What an infer stage computes for a row."""
    settings: frozenset[Setting]
    """Those of `SETTINGS` that have an effect."""
    counts_per_label: bool
    """Whether shots, in-context examples and shares count per label, and not in total."""
    default_metrics: tuple[str, ...]
    """Metrics where the config names none; the first ranks."""
    label_set: Callable[[DatasetConfig, Splits, str], LabelSet | None]
    """The closed set of labels of rows with their gold in this column; None where there is none."""
    answer: Callable[[Row, str, LabelSet | None], str]
    """The text the model should write for a row, from its output column."""
    baselines: tuple[str, ...] = ()
    """Names in `baseline_registry`, in the order of boards; without any, none is measured beside experiments."""
    reads: RowForm | None = None
    """How a row is written, whatever the objective; None where the objective says. Of `whole` rows the output column
    is all that is read."""

    def uses(self, setting: Setting) -> bool:
        """Whether a part of the config has an effect."""
        return setting in self.settings
