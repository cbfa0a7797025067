"""What every task type declares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sft.config.dataset import DatasetConfig
from sft.config.prompting import PromptingConfig
from sft.data.cells.label_lists import GoldColumn
from sft.data.rows import Row, Splits, alone
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
    "dataset.labels_separator",
    "dataset.negatives",
    "prompting.label_template",
    "inference.threshold",
]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
"""Parts of a config that have an effect with some task types only."""


@dataclass(frozen=True)
class Questions:
    """What a model that writes is asked about each label of a row, in place of the labels themselves."""

    texts: Callable[[LabelSet, PromptingConfig], tuple[str, ...]]
    """The line after the input that asks about each label, in the order of the set."""
    words: tuple[str, ...]
    """The answers that there are."""
    answers: Callable[[Row, str, LabelSet], tuple[str, ...]]
    """The answer about each label, of a row with its gold in this column."""
    trained: Callable[[Row, str, LabelSet, int, int], tuple[int, ...]]
    """Places of the labels that a training row is asked about, by `dataset.negatives` and the seed of shots."""


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
    """Whether shots and shares count per label, and not in total."""
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
    examples_per_label: bool = False
    """Whether in-context examples count per label, and not in total."""
    gold_column: Callable[[DatasetConfig, str], GoldColumn | None] = lambda _dataset, _column: None
    """What makes the gold of the cells of the output column; None where they are it."""
    values_in: Callable[[str], tuple[str, ...]] = alone
    """The gold values in the text of an output cell."""
    head_target: Callable[[str, Sequence[str]], tuple[int, ...]] = lambda text, labels: (labels.index(text),)
    """What a head is trained towards, by an output cell's text and the labels of its outputs: a place of these."""
    has_label_sets: bool = False
    """Whether a row may have any number of labels: gold and predictions are then texts of `label_sets.set_text`."""
    questions: Questions | None = None
    """What is asked about each label; None where a row is one question."""
    instruction: str = "Read the text and write its {column}. Answer with nothing else."
    """What a first grid asks of a model that is prompted; `{column}` becomes the output column's name."""

    def uses(self, setting: Setting) -> bool:
        """Whether a part of the config has an effect."""
        return setting in self.settings
