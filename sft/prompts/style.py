"""What a prompt is made of, and what building one gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from sft.exceptions import DataError

PromptFormat = Literal["chat", "plain", "text", "source", "whole"]


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    """system, user or assistant."""

    text: str


@dataclass(frozen=True)
class Example:
    """One row as the prompt needs it."""

    inputs: Mapping[str, str]
    """Text of each input column, in the order in which the columns are shown."""

    output: str | None = None
    """The answer; None where only a prompt is wanted."""

    turns: tuple[Message, ...] = ()
    """Of a conversation all turns before the answer, in place of inputs."""

    question: str = ""
    """What is asked about the inputs, in a line after them; empty where the inputs are the question."""


class Surroundings(NamedTuple):
    """What stands around the texts of an encoder-decoder, as its tokenizer says."""

    before: tuple[int, ...]
    """Ids before a text that is read."""

    after: tuple[int, ...]
    """Ids after it."""

    opening: tuple[int, ...]
    """Ids before a text that is written, but for the one that every decoder starts from."""

    stop: tuple[int, ...]
    """Ids after it."""

    starts: bool
    """Whether the opening stands in the place of what the decoder starts from, as the language codes of mBART do."""


@dataclass(frozen=True)
class PromptStyle:
    """How rows become prompts; two builders of equal style and tokenizer give equal ids."""

    input_columns: tuple[str, ...]
    """Columns the model reads."""

    instruction: str | None = None
    """System turn of chat, first paragraph of plain; label words are already in it."""

    input_template: str | None = None
    """Text with a `{column}` field for each column, in place of lines; `{{`, `}}` are literal braces."""

    format: PromptFormat = "chat"
    """Whether the chat template writes the frame, or `Answer:` and blank lines do, or there is none: the text is read
    (`text`, and `source`, whose answers are written by a decoder of their own), or learned itself (`whole`)."""

    max_input_length: int | None = None
    """Tokens kept of each input column, from its start."""

    max_output_length: int | None = None
    """Tokens kept of an output that may be cut."""

    chat_template: str | None = None
    """Source of the chat template; None is the tokenizer's own."""

    chat_template_args: Mapping[str, Any] = field(default_factory=dict)
    """Variables passed on to the chat template."""

    train_turns: Literal["last", "all"] = "last"
    """Assistant turns of a conversation that are trained."""

    surroundings: Surroundings | None = None
    """What stands around texts that are read and written, where the format is `source`."""


@dataclass(frozen=True)
class Cuts:
    """What had to give way so that a prompt fits."""

    input_tokens: int = 0
    """Tokens over `max_input_length`, of all rows in the prompt."""

    output_tokens: int = 0
    """Tokens over `max_output_length`, of all rows in the prompt."""

    examples: int = 0
    """In-context examples left out, counted from the front."""

    fitted_tokens: int = 0
    """Tokens taken off the end of the longest input column because of the limit of the whole."""

    turns: int = 0
    """Turns of a conversation left out, the oldest first."""

    @property
    def any(self) -> bool:
        """Whether anything was cut."""
        return bool(self.input_tokens or self.output_tokens or self.examples or self.fitted_tokens or self.turns)


class Part(NamedTuple):
    """A stretch of a rendered prompt: words of the frame, or words of the user's data."""

    text: str
    is_data: bool
    controls: int
    """Control-token strings in the text: real ones in the frame, to be read as characters in data."""


@dataclass(frozen=True)
class Encoded:
    """A prompt as the model sees it, with its completion where the row had an answer."""

    text: str
    """The prompt as rendered, and its completion where that follows in one text."""

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    """Ids of the answer without its stop; empty without an answer."""

    stop_ids: tuple[int, ...]
    """Ids of the stop; empty without an answer."""

    n_special: int
    """Control-token strings found in the data of this prompt, read as ordinary characters."""

    cut: Cuts
    trimmed: bool = False
    """Whether blanks around the answer were left out, as the template or the tokenizer wants it."""

    trained: tuple[tuple[int, int], ...] = ()
    """Start and end in `prompt_ids` of earlier answers with their stops that are trained too."""

    tail: tuple[Part, ...] = field(default=(), repr=False, compare=False)
    """The end of the prompt that is tokenised in one piece with an answer."""

    @property
    def completion_ids(self) -> tuple[int, ...]:
        """Answer and stop: what the loss covers."""
        return self.answer_ids + self.stop_ids


@dataclass(frozen=True)
class LabelIds:
    """A label as it is scored."""

    word: str
    answer_ids: tuple[int, ...]
    stop_ids: tuple[int, ...]


class TooLong(DataError):
    """A prompt is over its limit after everything that may give way has given way."""


def resolve_format(written: Literal["auto", "chat", "plain"], has_template: bool) -> PromptFormat:
    """The format in force: `auto` is chat where there is a chat template, else plain."""
    if written == "auto":
        return "chat" if has_template else "plain"
    return written
