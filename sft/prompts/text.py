"""Rows as their texts alone, between what the tokenizer itself puts around a text: for models that write nothing."""

from collections.abc import Sequence

from sft.exceptions import UserError
from sft.prompts.control import ControlTokens
from sft.prompts.rendering import Rendered, Turn, joined
from sft.prompts.style import Message, Part
from sft.prompts.tokens import Tokens


class TextFormat:
    """The text of a row, such as `[CLS] text [SEP]`; there are no examples, no answer and no stop."""

    stop_ids: tuple[int, ...] = ()
    stop_text = ""
    traits: frozenset[str] = frozenset()

    def __init__(self, control: ControlTokens, tokens: Tokens) -> None:
        self._control = control
        self._tokens = tokens
        self._before, self._after = tokens.around()

    def render(self, turns: Sequence[Turn], answer: str | None) -> Rendered:
        """The last turn as text and ids; `answer` is not written.

        Raises:
            UserError: there is nothing to read.
        """
        question = (self._control.data(turns[-1].question),)
        ids = self.prompt_ids(question)
        if not ids:
            text = f"the tokenizer makes no tokens of the text {turns[-1].question!r}, and puts none around it"
            raise UserError(f"{text}, so that a model has nothing to read; leave the row out", kind="tokenizer")
        return Rendered(joined(question), ids, (), (), sum(part.controls for part in question), question)

    def render_turns(self, turns: Sequence[Message], answer: str | None, *, with_earlier: bool) -> Rendered:
        """Always an error: a conversation is no text.

        Raises:
            UserError: a row is a conversation.
        """
        raise UserError("a model with a head reads columns of text, and this row is a conversation")

    def prompt_ids(self, prompt: Sequence[Part]) -> tuple[int, ...]:
        """The ids of a text with those that the tokenizer puts around it."""
        return self._before + self._tokens.ids(prompt) + self._after

    def answer_part(self, answer: str) -> Part:
        """The answer, which is never written."""
        return self._control.data(answer)


class WholeFormat(TextFormat):
    """The text of a row up to its end token, every token of which is learned: a document as in pretraining."""

    def __init__(self, control: ControlTokens, tokens: Tokens, end: int | None) -> None:
        """
        Args:
            control: the tokenizer's control tokens.
            tokens: tokenises texts.
            end: id of the token that ends a text; None where the tokenizer has none.
        """
        super().__init__(control, tokens)
        if end is not None and self._after[-1:] != (end,):
            self._after += (end,)

    def render(self, turns: Sequence[Turn], answer: str | None) -> Rendered:
        """The last turn as text and ids, all of them as what is trained."""
        found = super().render(turns, answer)
        return found._replace(earlier=((0, len(found.prompt_ids)),))
