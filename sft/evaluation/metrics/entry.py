"""What is known of a metric without importing what computes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sft.config.section import Section

WordSplitter = Callable[[str], list[str]]
SAME_NUMBER = 1e-9
"""What sums of the same numbers in another order may differ by: up to 1 absolute, above it relative."""
PER_ROW = "per_row"
"""In what a metric of texts computes: by result, (rows,) or (rows, numbers), what `row_sums` needs of each row."""

Needs = Literal["labels", "label_sets", "probabilities", "texts", "token_sums"]
CLASSIFICATION = frozenset({"classification"})
MULTILABEL = frozenset({"multilabel"})
WRITTEN = frozenset({"generation", "summarization", "translation"})
"""The task types whose answers are free texts, each with one reference."""


Range = tuple[float, float | None]
"""The least and the largest value that a number can have; None where there is no largest."""


def _no_options() -> "type[Section]":
    """A metric without arguments; imported here, as names and ranges of metrics are asked for without a config."""
    from sft.config.section import Section

    return Section


@dataclass(frozen=True)
class RequiredPackage:
    """An optional package that a metric needs.

    Attributes:
        name: what is imported.
        install: the command that installs it.
    """

    name: str
    install: str


@dataclass(frozen=True)
class MetricEntry:
    """One family of metrics that are computed together.

    Attributes:
        results: the numbers it gives, by the names a user writes; empty when it gives details only.
        module: the `evaluate.Metric`, as `package.module:class`.
        needs: `labels`: predicted and gold label as index into the label set; `probabilities`: one number per label
            and the gold index; `label_sets`: 0 or 1 for each label; `texts`: generated text and reference;
            `token_sums`: the sum of the log-probabilities of a row's tokens and their number.
        of_sets: as `module`, where rows have any number of labels; None = `module` serves them, if any does.
        task_types: the task types it is defined for.
        range: of each of its results.
        row_sums: how rows make its results, a `RowForm` as `package.module:function`; None = they do not.
        text_rows: what `row_sums` needs of each text, as `package.module:function` of predictions, references, word
            splitter and arguments; None where a model computes it.
        in_steps: whether its results move in steps when single rows turn right or wrong, as a share of rows does.
        higher_is_better: the direction in which boards rank by any of its results.
        options: its arguments, as a user writes them under `evaluation`.
        splits_words: whether `evaluation.tokenizer_name` has effect on it.
        sees: whether the metric, with its arguments, finds what it compares in a reference; None = in every one.
        paths: arguments that may be a local path, relative to the folder of the grid file.
        package: what must be installed beside this project.
        on_gpu: whether it computes with a model, on a GPU where there is one.
    """

    results: tuple[str, ...]
    module: str
    needs: Needs
    task_types: frozenset[str]
    range: Range
    of_sets: str | None = None
    row_sums: str | None = None
    text_rows: str | None = None
    in_steps: bool = False
    higher_is_better: bool = True
    options: "type[Section]" = field(default_factory=_no_options)
    splits_words: bool = False
    sees: Callable[[str, Mapping[str, Any]], bool] | None = None
    paths: tuple[str, ...] = ()
    package: RequiredPackage | None = None
    on_gpu: bool = False
