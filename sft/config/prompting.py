"""The `prompting` section: how a row becomes a prompt, and what of it may differ at inference."""

from typing import Annotated, Literal

from pydantic import Field

from sft.config.section import Section

Tokens = Annotated[int, Field(ge=1)]


class PromptingConfig(Section):
    """How a row becomes a prompt."""

    instruction: str | None = None
    """System turn, or first paragraph of the plain format; `{labels}` becomes the label words; default none."""

    input_columns: Annotated[list[str], Field(min_length=1)] = []
    """Columns the model reads; several become `Column: text` lines; required but by texts that are learned whole."""

    input_template: str | None = None
    """Text with a `{column}` field for each in place of the lines; `{{`, `}}` are literal braces; default none."""

    output_column: str
    """Column with the gold label or reference text."""

    max_input_length: Tokens | None = None
    """Tokens kept of each input column, from its start; default all."""

    max_output_length: Tokens | None = None
    """Tokens kept of the output in prompts and training, never of a reference; default all. A label is never cut."""

    label_template: str = "{label}?"
    """Multilabel, prompted: the line after the input that asks about one label, answered by yes or no; default
    `{label}?`.
    """

    format: Literal["auto", "chat", "plain"] = "auto"
    """`chat`: the chat template; `plain`: question and `Answer:`; default auto: chat where there is a template."""

    train_turns: Literal["last", "all"] = "last"
    """Assistant turns of a conversation that are trained: the last one, or all; default last."""

    source_lang: str | None = None
    """Code of the language that an encoder reads, where its tokenizer names it (`en_XX`); default the tokenizer's."""

    target_lang: str | None = None
    """Code of the language that a decoder writes for it; needed where the tokenizer of an encoder-decoder names it."""

    @property
    def is_conversation(self) -> bool:
        """Whether the one input column is the output column too, and holds whole conversations."""
        return self.input_columns == [self.output_column]


class PromptingOverrides(Section):
    """Keys of `prompting` that differ at inference; one that is left out stays as in `prompting`."""

    instruction: str | None = None
    """As `prompting.instruction`."""

    input_columns: Annotated[list[str], Field(min_length=1)] | None = None
    """As `prompting.input_columns`."""

    input_template: str | None = None
    """As `prompting.input_template`."""

    max_input_length: Tokens | None = None
    """As `prompting.max_input_length`."""

    max_output_length: Tokens | None = None
    """As `prompting.max_output_length`."""

    label_template: str | None = None
    """As `prompting.label_template`."""

    format: Literal["auto", "chat", "plain"] | None = None
    """As `prompting.format`."""

    source_lang: str | None = None
    """As `prompting.source_lang`."""

    target_lang: str | None = None
    """As `prompting.target_lang`."""
