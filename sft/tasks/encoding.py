"""Rows to token ids: the same ids in training, in scoring, in generation and in `inspect`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sft.config.experiment import ExperimentConfig, PromptingConfig
from sft.data.prompts import Encoded, Example, PromptBuilder, PromptStyle, TooLong, resolve_format
from sft.data.rows import Row
from sft.errors import DataError, UserError
from sft.labels.label_set import LabelSet
from sft.models.loading import ModelSource
from sft.models.tokenizers import (
    chat_template_in_force,
    default_template_args,
    load_tokenizer,
    own_chat_template,
)
from sft.runs.progress import beat
from sft.tasks.examples import InferenceExamples, TrainingExamples
from sft.tasks.inputs import Inputs, task_of, with_labels
from sft.wording import some

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_ROWS_NAMED = 10


@dataclass(frozen=True)
class PromptedRow:
    """One row as the model sees it."""

    row: Row
    encoded: Encoded
    examples: tuple[int, ...]
    """`source_index` of its in-context examples, in order."""


def tokenizer_of(config: ExperimentConfig, folder: Path, revision: str | None) -> "PreTrainedTokenizerBase":
    """The tokenizer of the experiment's model."""
    return load_tokenizer(config.model.name, folder, revision)


def model_source(config: ExperimentConfig, folder: Path, revision: str | None) -> ModelSource:
    """Which base model an experiment loads, and how."""
    model = config.model
    return ModelSource(
        name=model.name,
        folder=folder,
        revision=revision,
        quantization=model.quantization,
        model_args=model.model_args,
    )


def prompt_builder(
    tokenizer: "PreTrainedTokenizerBase",
    config: ExperimentConfig,
    prompting: PromptingConfig,
    labels: LabelSet | None,
    folder: Path,
    template_revision: str | None = None,
) -> PromptBuilder:
    """The builder of an experiment's prompts, in training (`prompting`) or at inference (its overlay)."""
    template, named = None, config.model.chat_template_from
    if prompting.format != "plain" or named is not None:
        template = chat_template_in_force(tokenizer, named, folder, template_revision)
    chat_format = resolve_format(prompting.format, template is not None)
    written = config.model.chat_template_args
    style = PromptStyle(
        instruction=with_labels(prompting.instruction, labels),
        input_columns=tuple(prompting.input_columns),
        input_template=prompting.input_template,
        format=chat_format,
        max_input_length=prompting.max_input_length,
        max_output_length=prompting.max_output_length,
        chat_template=template,
        chat_template_args=default_template_args(template or "", written) if chat_format == "chat" else {},
    )
    return PromptBuilder(tokenizer, style)


def prompt_traits(
    tokenizer: "PreTrainedTokenizerBase", config: ExperimentConfig, prompting: PromptingConfig, builder: PromptBuilder
) -> list[str]:
    """What of these prompts only the tokenizer tells, for `Fingerprints.prompt_traits`."""
    traits = set(builder.traits)
    if not task_of(config).uses("inference.generation_args"):
        traits -= {"end_before_words", "stop_in_text"}
    several = config.model.chat_template_from is None and isinstance(tokenizer.chat_template, dict)
    if several and builder.format == "chat":
        written = config.model.chat_template_args
        default = default_template_args(own_chat_template(tokenizer) or "", written)
        if prompting.format == "auto" or default != written:
            traits.add("named_template")
    return sorted(traits)


def training_rows(inputs: Inputs, builder: PromptBuilder, limit: int | None) -> list[PromptedRow]:
    """The shots with their answers; each has examples of its own, never the row itself.

    Args:
        inputs: the experiment's rows.
        builder: builds prompts under `prompting`.
        limit: tokens of prompt and completion together.

    Raises:
        DataError: a row is too long after all cuts, or has nothing to train on.
    """
    examples = TrainingExamples(inputs, leave_one_out=True)
    asker = Asker(inputs, builder, inputs.config.prompting)

    def encode(row: Row) -> PromptedRow:
        return asker.encode(row, examples.of("train", row, exclude=row.source_index), limit, with_answer=True)

    return encode_all("train", inputs.selection.shots, encode)


def validation_rows(inputs: Inputs, builder: PromptBuilder, limit: int | None) -> list[PromptedRow]:
    """The dev rows with their answers, prompted as the training rows are: for an evaluation during training.

    Nothing of `inference` has a part in them, so that one training serves every variant of it.

    Raises:
        DataError: a row is too long after all cuts.
    """
    examples = TrainingExamples(inputs, leave_one_out=False)
    asker = Asker(inputs, builder, inputs.config.prompting)

    def encode(row: Row) -> PromptedRow:
        return asker.encode(row, examples.of("dev", row), limit, with_answer=True)

    return encode_all("dev", inputs.evaluated().get("dev", ()), encode)


def evaluated_rows(
    inputs: Inputs, builder: PromptBuilder, split: str, limit: int | None, with_answer: bool = False
) -> list[PromptedRow]:
    """The evaluated rows of a split as prompts.

    Args:
        inputs: the experiment's rows.
        builder: builds prompts under `prompting` overlaid by `inference.prompting`.
        split: `dev` or `test`.
        limit: tokens of the prompt (with the answer, where it is asked for).
        with_answer: whether the gold answer is the completion, as `inspect` needs it.

    Raises:
        DataError: a row is too long after all cuts.
    """
    examples = InferenceExamples(inputs)
    asker = Asker(inputs, builder, inputs.config.inference_prompting)

    def encode(row: Row) -> PromptedRow:
        return asker.encode(row, examples.of(split, row), limit, with_answer=with_answer)

    return encode_all(split, inputs.evaluated()[split], encode)


class Asker:
    """Turns rows into prompts under one prompting."""

    def __init__(self, inputs: Inputs, builder: PromptBuilder, prompting: PromptingConfig) -> None:
        self._inputs = inputs
        self._builder = builder
        self._prompting = prompting
        self._last: tuple[tuple[tuple[int, ...], ...], list[list[Example]]] = ((), [])
        """The last rounds, as numbers in their pool and as examples; most often those of all rows."""

    def encode(
        self, row: Row, rounds: Sequence[Sequence[Row]], limit: int | None, *, with_answer: bool
    ) -> PromptedRow:
        """A row after its in-context examples, with its gold answer where that is wanted."""
        asked = tuple([tuple([example.source_index for example in examples]) for examples in rounds])
        if asked != self._last[0]:
            self._last = (
                asked,
                [[self._example(example, with_answer=True) for example in examples] for examples in rounds],
            )
        numbers, shown = tuple(chain.from_iterable(asked)), self._last[1]
        question = self._example(row, with_answer=with_answer)
        encoded = self._builder.encode(
            shown, question, limit, cut_output=self._inputs.task.uses("prompting.max_output_length")
        )
        return PromptedRow(row=row, encoded=encoded, examples=numbers[encoded.cut.examples :])

    def _example(self, row: Row, *, with_answer: bool) -> Example:
        prompting, inputs = self._prompting, self._inputs
        output = inputs.task.answer(row, prompting.output_column, inputs.labels) if with_answer else None
        return Example(inputs={column: row.text(column) for column in prompting.input_columns}, output=output)


def smallest(*limits: int | None) -> int | None:
    """The smallest of the limits that there are."""
    return min((limit for limit in limits if limit is not None), default=None)


def encode_all(split: str, rows: Sequence[Row], encode: Callable[[Row], PromptedRow]) -> list[PromptedRow]:
    """The rows as prompts.

    Raises:
        DataError: rows are too long after all cuts; names them.
        UserError: tokenizer or template do not take a row; names it.
    """
    encoded: list[PromptedRow] = []
    too_long: list[tuple[int, str]] = []
    for row in rows:
        beat()
        try:
            encoded.append(encode(row))
        except TooLong as error:
            too_long.append((row.source_index, str(error)))
        except UserError as error:
            raise UserError(f"{split} row {row.source_index}: {error}", kind=error.kind) from error
    if too_long:
        named = some([str(index) for index, _ in too_long], MAX_ROWS_NAMED)
        raise DataError(f"{split} rows {named} are too long after all cuts: {too_long[0][1]}")
    return encoded
