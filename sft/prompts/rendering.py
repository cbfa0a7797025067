"""What the two prompt formats share: turns in, text and ids out."""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple, Protocol

from sft.exceptions import UserError
from sft.prompts.style import Message, Part


class Turn(NamedTuple):
    """A row as text, cut to its length limits."""

    question: str
    answer: str
    """Empty where the row has none."""

    input_cut: int
    """Tokens its columns lost."""

    output_cut: int
    """Tokens its answer lost."""


class Rendered(NamedTuple):
    """A prompt as text and ids."""

    text: str
    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    stop_ids: tuple[int, ...]
    n_special: int
    tail: tuple[Part, ...]
    trimmed: bool = False
    """Whether blanks around the answer were left out."""
    earlier: tuple[tuple[int, int], ...] = ()
    """Start and end in `prompt_ids` of earlier answers with their stops, where they were asked for."""

    is_apart: bool = False
    """Whether the completion is no part of the text that the prompt is the beginning of."""

    @property
    def length(self) -> int:
        """Tokens of the text that begins with the prompt: with the completion, where that follows in it."""
        return len(self.prompt_ids) + (0 if self.is_apart else len(self.answer_ids) + len(self.stop_ids))


class Format(Protocol):
    """A way to write prompts."""

    stop_ids: tuple[int, ...]
    """Ids that end every completion."""

    stop_text: str
    """What they read as."""

    traits: frozenset[str]
    """What of the prompts only tokenizer and template tell; see `PromptBuilder`."""

    def render(self, turns: Sequence[Turn], answer: str | None) -> Rendered:
        """Text and ids; all turns but the last are shown with their answers, `answer` completes the last."""

    def render_turns(self, turns: Sequence[Message], answer: str | None, *, with_earlier: bool) -> Rendered:
        """Text and ids of a conversation; `answer` completes it, and the assistant turns before it are `earlier`."""

    def prompt_ids(self, prompt: Sequence[Part]) -> tuple[int, ...]:
        """The ids of a prompt, or of its end, before an answer."""

    def answer_part(self, answer: str) -> Part:
        """The answer as it stands right after the prompt."""


def joined(parts: Sequence[Part]) -> str:
    """The parts as one text."""
    return "".join([part.text for part in parts])


def common_start(sequences: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """What all sequences begin with."""
    return tuple(ids[0] for ids in takewhile(lambda ids: len(set(ids)) == 1, zip(*sequences, strict=False)))


def boundary_error(answer: str) -> UserError:
    """The answer and what stands around it share a token."""
    shown = answer if len(answer) <= 60 else answer[:57] + "..."
    return UserError(
        f"the tokenizer merges the answer {shown!r} with the text around it, so that prompt, answer and stop have no "
        "ids of their own; change how the answers begin and end, or prompting.format",
        kind="tokenizer",
    )
