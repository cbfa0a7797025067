"""Rows as texts that an encoder reads; what a decoder of its own writes is no part of them."""

from collections.abc import Sequence

from sft.exceptions import UserError
from sft.prompts.control import ControlTokens
from sft.prompts.rendering import Rendered, Turn, joined
from sft.prompts.style import Message, Part, PromptStyle, Surroundings
from sft.prompts.tokens import Tokens

_BLANK_LINE = "\n\n"
_HEADER = "\nAnswer: "


class SourceFormat:
    """Instruction, earlier examples as `input`, newline, `Answer: output`, and the row's input, parted by blank lines.

    All of it is tokenised together, between the ids that the tokenizer puts around a text. The answer is tokenised by
    itself, for the decoder.
    """

    stop_text = ""
    traits: frozenset[str] = frozenset()

    def __init__(self, style: PromptStyle, surroundings: Surroundings, control: ControlTokens, tokens: Tokens) -> None:
        self._control = control
        self._tokens = tokens
        self._surroundings = surroundings
        self.stop_ids = surroundings.stop
        instruction = style.instruction.rstrip("\n") if style.instruction else ""
        self._instruction = (control.data(instruction), control.frame(_BLANK_LINE)) if instruction else ()

    def render(self, turns: Sequence[Turn], answer: str | None) -> Rendered:
        """What is read as text and ids; the last turn is the question, `answer` what is to be written."""
        shown = [part for turn in turns[:-1] for part in self._example(turn)]
        source = (*self._instruction, *shown, self._control.data(turns[-1].question))
        controls = sum(part.controls for part in source)
        text, prompt_ids = joined(source), self.prompt_ids(source)
        if answer is None:
            return Rendered(text, prompt_ids, (), (), controls, (), is_apart=True)
        part = self.answer_part(answer)
        answer_ids, controls = self._tokens.ids([part]), controls + part.controls
        return Rendered(text, prompt_ids, answer_ids, self.stop_ids, controls, (), is_apart=True)

    def render_turns(self, turns: Sequence[Message], answer: str | None, *, with_earlier: bool) -> Rendered:
        """Always an error: a conversation is more than one text.

        Raises:
            UserError: a row is a conversation.
        """
        raise UserError("an encoder with a decoder reads columns of text, and this row is a conversation")

    def prompt_ids(self, prompt: Sequence[Part]) -> tuple[int, ...]:
        """The ids of a text that is read, with those around it."""
        return self._surroundings.before + self._tokens.ids(prompt) + self._surroundings.after

    def answer_part(self, answer: str) -> Part:
        """The answer, with which the decoder's text begins."""
        return self._control.data(answer)

    def _example(self, turn: Turn) -> tuple[Part, ...]:
        frame = self._control.frame
        return self._control.data(turn.question), frame(_HEADER), self._control.data(turn.answer), frame(_BLANK_LINE)
