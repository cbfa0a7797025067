"""Rows to token ids: one object makes them for training, scoring, generation, `inspect` and the checks of a plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.config.experiment import ExperimentConfig
from sft.config.prompting import PromptingConfig
from sft.data.cells.conversations import Conversation
from sft.data.rows import Row
from sft.exceptions import DataError, UserError
from sft.labels.label_set import LabelSet
from sft.models.answering.decoders import decoder_opening
from sft.models.answering.languages import surroundings_of
from sft.models.objective import RowForm
from sft.models.tokenizers import chat_template_in_force, default_template_args, load_tokenizer, own_chat_template
from sft.prompts import Encoded, Example, LabelIds, Message, PromptBuilder, PromptStyle, TooLong, resolve_format
from sft.runs.progress import beat
from sft.tasks.inputs import task_of, with_labels
from sft.wording import some

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_ROWS_NAMED = 10

PlacesOf = Callable[[Row], Sequence[int]]
"""From a row to places in the label set."""

Limit = int | Callable[[Row], int] | None
"""Tokens of prompt and completion together, for all rows or by row; None is no limit."""


@dataclass(frozen=True)
class PromptedRow:
    """One row as the model sees it."""

    row: Row
    encoded: Encoded
    examples: tuple[int, ...]
    """`source_index` of its in-context examples, in order."""
    questions: tuple[Encoded, ...] = ()
    """Where a row is asked about each label, the prompts in the order of the labels; `encoded` is the longest."""


@dataclass(frozen=True)
class PromptMaker:
    """Makes the prompts of an experiment; tokenizer and builders are made when they are first asked for."""

    config: ExperimentConfig
    folder: Path
    """The folder its local paths are relative to."""
    revisions: Mapping[str, str | None]
    """`model`, `chat_template` -> pinned hub commit, where there is one."""
    labels: LabelSet | None
    reads: RowForm = "prompt"
    """How the objective has rows written."""

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The tokenizer of the model."""
        return load_tokenizer(self.config.model.name, self.folder, self.revisions.get("model"))

    @cached_property
    def training(self) -> "StagePrompts":
        """The prompts that are trained on."""
        return StagePrompts(self, self.config.prompting)

    @cached_property
    def inference(self) -> "StagePrompts":
        """The prompts at inference: `inference.prompting` lies over `prompting`."""
        return StagePrompts(self, self.config.inference_prompting)


class StagePrompts:
    """The prompts of one stage of an experiment.

    Attributes:
        prompting: the section that they follow.
    """

    def __init__(self, maker: PromptMaker, prompting: PromptingConfig, places_of: PlacesOf | None = None) -> None:
        """
        Args:
            maker: of the experiment.
            prompting: the section that they follow.
            places_of: of a row that is asked about labels, the places of those that it is asked about; None = all.
        """
        self.prompting = prompting
        self._maker = maker
        self._task = task_of(maker.config)
        self._reads = self._task.reads or maker.reads
        self._questions = self._task.questions if self._reads == "prompt" else None
        self._places_of = places_of
        self._last: tuple[tuple[tuple[int, ...], ...], list[list[Example]]] = ((), [])
        """The last rounds, as numbers in their pool and as examples; most often those of all rows."""

    @cached_property
    def builder(self) -> PromptBuilder:
        """Writes and tokenises the prompts.

        Raises:
            UserError: tokenizer, chat template and prompting do not go together.
        """
        return PromptBuilder(self._maker.tokenizer, self._style())

    @cached_property
    def labels(self) -> Sequence[LabelIds]:
        """The labels as they are scored, in the order of the label set; none where none is written.

        Raises:
            UserError: two labels have the same ids, or one has none or too many.
        """
        labels = None if self._reads in ("text", "whole") else self._maker.labels
        if labels is None:
            return ()
        return self.builder.label_ids(self._questions.words if self._questions else labels.words)

    def about(self, places_of: PlacesOf) -> "StagePrompts":
        """The same prompts, of which each row is asked about some labels alone."""
        return StagePrompts(self._maker, self.prompting, places_of)

    @property
    def traits(self) -> list[str]:
        """Names of facts about these prompts that only the tokenizer tells, for `Fingerprints.prompt_traits`."""
        traits = set(self.builder.traits)
        if not self._task.uses("inference.generation_args"):
            traits -= {"end_before_words", "stop_in_text"}
        model, tokenizer = self._maker.config.model, self._maker.tokenizer
        several = model.chat_template_from is None and isinstance(tokenizer.chat_template, dict)
        if several and self.builder.format == "chat":
            written = model.chat_template_args
            default = default_template_args(own_chat_template(tokenizer) or "", written)
            if self.prompting.format == "auto" or default != written:
                traits.add("named_template")
        return sorted(traits)

    def decoder_opening(self, model_config: Any) -> tuple[int, ...]:
        """The ids that the decoder of an encoder-decoder has before it writes the first token of an answer.

        Args:
            model_config: of the model.

        Raises:
            UserError: kind model: nothing says what its decoder starts from.
        """
        around = self.builder.surroundings
        if around is None:
            raise ValueError("the prompts are not those of an encoder-decoder")
        return decoder_opening(model_config, self._maker.tokenizer, around)

    def rows(
        self,
        split: str,
        rows: Sequence[Row],
        rounds_of: Callable[[Row], Sequence[Sequence[Row]]],
        limit: Limit,
        *,
        with_answer: bool = False,
    ) -> list[PromptedRow]:
        """Rows as prompts; each is a heartbeat.

        Args:
            split: the name of the rows in messages.
            rows: what is asked about.
            rounds_of: the in-context examples of a row; all are of one pool.
            limit: tokens of prompt and completion together.
            with_answer: whether the gold answer of a row is its completion.

        Raises:
            DataError: rows are too long after all cuts; names them.
            UserError: tokenizer or template do not take a row; names it.
        """
        prompted: list[PromptedRow] = []
        too_long: list[tuple[int, str]] = []
        for row in rows:
            beat()
            try:
                most = limit(row) if callable(limit) else limit
                prompted.append(self._prompted(row, rounds_of(row), most, with_answer))
            except TooLong as error:
                too_long.append((row.source_index, str(error)))
            except UserError as error:
                raise UserError(f"{split} row {row.source_index}: {error}", kind=error.kind) from error
        if too_long:
            named = some([str(index) for index, _ in too_long], MAX_ROWS_NAMED)
            raise DataError(f"{split} rows {named} are too long after all cuts: {too_long[0][1]}")
        return prompted

    def encode(self, rounds: Sequence[Sequence[Example]], question: Example, limit: int | None) -> Encoded:
        """One prompt from texts in place of rows, with a completion where the question has an output.

        Raises:
            TooLong: it does not fit after all cuts.
            UserError: tokenizer or template do not take it.
        """
        return self.builder.encode(rounds, question, limit, cut_output=self._task.uses("prompting.max_output_length"))

    def _prompted(
        self, row: Row, rounds: Sequence[Sequence[Row]], limit: int | None, with_answer: bool
    ) -> PromptedRow:
        asked = tuple([tuple([example.source_index for example in examples]) for examples in rounds])
        if asked != self._last[0]:
            shown = [[one for example in examples for one in self._shown(example)] for examples in rounds]
            self._last = (asked, shown)
        questions = [self.encode(self._last[1], one, limit) for one in self._asked(row, with_answer=with_answer)]
        encoded = max(questions, key=lambda one: len(one.prompt_ids))
        numbers = tuple(chain.from_iterable(asked))
        n_cut = encoded.cut.examples // (len(self._texts) if self._questions else 1)
        return PromptedRow(row, encoded, numbers[n_cut:], tuple(questions) if self._questions else ())

    def _shown(self, row: Row) -> list[Example]:
        """A row of the pool with its answer, or with its answers about all labels."""
        return self._questioned(row, range(len(self._texts)), with_answer=True)

    def _asked(self, row: Row, *, with_answer: bool) -> list[Example]:
        places = self._places_of(row) if self._places_of else range(len(self._texts))
        return self._questioned(row, places, with_answer=with_answer)

    def _questioned(self, row: Row, places: Sequence[int], *, with_answer: bool) -> list[Example]:
        """A row as it is, or as a question about each label at these places."""
        labels, questions = self._maker.labels, self._questions
        if questions is None or labels is None:
            return [self._example(row, with_answer=with_answer)]
        plain = self._example(row, with_answer=False)
        answers = questions.answers(row, self.prompting.output_column, labels) if with_answer else None
        return [
            replace(plain, question=self._texts[place], output=answers[place] if answers else None) for place in places
        ]

    @cached_property
    def _texts(self) -> tuple[str, ...]:
        """What is asked about each label; one empty text where rows are the questions."""
        labels = self._maker.labels
        return self._questions.texts(labels, self.prompting) if self._questions and labels else ("",)

    def _example(self, row: Row, *, with_answer: bool) -> Example:
        prompting = self.prompting
        if self._reads == "whole":
            return Example({prompting.output_column: row.text(prompting.output_column)})
        output = self._task.answer(row, prompting.output_column, self._maker.labels) if with_answer else None
        if prompting.is_conversation:
            return Example({}, output, turns=_turns(row, prompting.output_column))
        return Example(inputs={column: row.input_text(column) for column in prompting.input_columns}, output=output)

    def _style(self) -> PromptStyle:
        model, prompting = self._maker.config.model, self.prompting
        template, named = None, model.chat_template_from
        if self._reads == "source":
            return PromptStyle(
                instruction=with_labels(prompting.instruction, self._maker.labels),
                input_columns=tuple(prompting.input_columns),
                input_template=prompting.input_template,
                format="source",
                max_input_length=prompting.max_input_length,
                max_output_length=prompting.max_output_length,
                surroundings=surroundings_of(self._maker.tokenizer, prompting.source_lang, prompting.target_lang),
            )
        if self._reads != "prompt":
            return PromptStyle(
                input_columns=tuple(prompting.input_columns),
                input_template=prompting.input_template,
                format=self._reads,
                max_input_length=prompting.max_input_length,
            )
        if prompting.format != "plain" or named is not None:
            revision = self._maker.revisions.get("chat_template")
            template = chat_template_in_force(self._maker.tokenizer, named, self._maker.folder, revision)
        chat_format = resolve_format(prompting.format, template is not None)
        template_args = default_template_args(template or "", model.chat_template_args)
        return PromptStyle(
            instruction=with_labels(prompting.instruction, self._maker.labels),
            input_columns=tuple(prompting.input_columns),
            input_template=prompting.input_template,
            format=chat_format,
            max_input_length=prompting.max_input_length,
            max_output_length=prompting.max_output_length,
            chat_template=template,
            chat_template_args=template_args if chat_format == "chat" else {},
            train_turns=prompting.train_turns,
        )


def _turns(row: Row, column: str) -> tuple[Message, ...]:
    """The turns before the answer; text that stands in place of a conversation is one question."""
    value = row.values[column]
    if not isinstance(value, Conversation):
        return (Message("user", row.input_text(column)),)
    return tuple(Message(turn["role"], turn["content"]) for turn in value.prompt)
