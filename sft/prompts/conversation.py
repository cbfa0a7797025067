"""Conversations as a chat template wants them: what a turn looks like, and where the instruction goes."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jinja2 import TemplateError

from sft.exceptions import UserError
from sft.prompts.clock import with_fixed_clock
from sft.prompts.control import ControlTokens
from sft.prompts.style import Part
from sft.wording import LONE_SURROGATE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


MARKERS = re.compile("([\U000f0000-\U000ffffd])")
_FIRST_PLACE = 60_000
"""Of the strings of an instruction that are set apart; markers of turns come before it."""


class Shape(NamedTuple):
    """How a template takes messages."""

    content: Literal["text", "parts"]
    """A content is a string, or a list with one text part."""

    instruction: Literal["none", "system", "merged"]
    """The instruction is left out, is a system turn, or opens the first user turn."""


_WITH_INSTRUCTION = (
    Shape("text", "system"),
    Shape("parts", "system"),
    Shape("text", "merged"),
    Shape("parts", "merged"),
)
_WITHOUT_INSTRUCTION = (Shape("text", "none"), Shape("parts", "none"))


class TemplateRefusal(Exception):
    """A template does not render a conversation of this shape."""


class Conversation:
    """Renders texts by a chat template: instruction, question, answer, question, answer, ..., or in other roles."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", source: str, args: Mapping[str, Any], has_instruction: bool
    ) -> None:
        self._tokenizer = tokenizer
        self._source = with_fixed_clock(source)
        self._args = dict(args)
        self.shape = self._find_shape(has_instruction)

    def render(self, contents: Sequence[str], roles: Sequence[str] | None = None) -> str:
        """The conversation as the template writes it, its last text an answer.

        Args:
            contents: the texts.
            roles: of each text; None where questions and answers take turns behind the instruction.

        Raises:
            UserError: kind tokenizer; the template refuses it.
        """
        try:
            return self._render(contents, self.shape, roles)
        except TemplateRefusal as error:
            raise UserError(f"the chat template refuses the conversation: {error}", kind="tokenizer") from error

    def _find_shape(self, has_instruction: bool) -> Shape:
        """The first shape in which the template shows every text that it is given."""
        contents = [marker(place) for place in range(5 if has_instruction else 4)]
        refusals = []
        for shape in _WITH_INSTRUCTION if has_instruction else _WITHOUT_INSTRUCTION:
            try:
                rendered = self._render(contents, shape)
            except TemplateRefusal as error:
                refusals.append(str(error))
                continue
            if _shows_all(rendered, contents):
                return shape
        reason = refusals[-1] if refusals else "it leaves out a question or an answer"
        raise UserError(
            f"the chat template does not render questions and answers ({reason}); "
            "set prompting.format to plain, or model.chat_template_from to another template",
            kind="tokenizer",
        )

    def _render(self, contents: Sequence[str], shape: Shape, roles: Sequence[str] | None = None) -> str:
        messages = _messages(contents, roles or _alternating(len(contents), shape), shape)
        # Templates are programs of others: text plus list, or a missing key, ends one like its own refusal does.
        try:
            rendered = self._tokenizer.apply_chat_template(
                messages, tokenize=False, chat_template=self._source, **self._args
            )
        except (TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise TemplateRefusal(str(error)) from error
        half = LONE_SURROGATE.search(str(rendered))
        if half is not None:
            raise TemplateRefusal(f"it writes \\u{ord(half[0]):04x}, half of a character (a lone surrogate)")
        return str(rendered)


def marker(place: int) -> str:
    """One character that stands for the text at this place, so that no text can change what a template writes."""
    return chr(0xF0000 + place)


def place_of(found: str) -> int:
    """The place of a marker."""
    return ord(found) - ord(marker(0))


class ReadInstruction:
    """An instruction as a template gets it that reads it: as it is, its control-token strings apart.

    `text` is what the template is given, in which one marker stands for each string that it must not get: for
    control-token strings, which would open turns, and for characters that are markers themselves.
    """

    def __init__(self, text: str, control: ControlTokens) -> None:
        self._apart: list[Part] = []

        def hide(found: str) -> str:
            self._apart.append(control.data(found))
            return marker(_FIRST_PLACE + len(self._apart) - 1)

        pieces = MARKERS.split(text)
        self.text = "".join(
            hide(piece) if MARKERS.fullmatch(piece) else control.replace(piece, hide) for piece in pieces
        )

    def part(self, place: int) -> Part | None:
        """What the marker of a place stands for; None for one of a turn."""
        return self._apart[place - _FIRST_PLACE] if place >= _FIRST_PLACE else None


def template_source(tokenizer: "PreTrainedTokenizerBase", written: str | None) -> str:
    """The chat template in force: the one written, else the tokenizer's own.

    Raises:
        UserError: kind tokenizer; there is none.
    """
    try:
        return str(tokenizer.get_chat_template(written))
    except ValueError as error:
        raise UserError(
            "the tokenizer has no chat template; set prompting.format to plain, "
            "or model.chat_template_from to a template",
            kind="tokenizer",
        ) from error


def _alternating(count: int, shape: Shape) -> list[str]:
    """The roles of an instruction, where the shape has one, and of questions and answers in turns."""
    system = [] if shape.instruction == "none" else ["system"]
    return [*system, *(("user", "assistant")[turn % 2] for turn in range(count - len(system)))]


def _messages(contents: Sequence[str], roles: Sequence[str], shape: Shape) -> list[dict[str, Any]]:
    """The texts as messages; system texts that follow each other are one, with a blank line between them."""
    messages: list[tuple[str, str]] = []
    for role, text in zip(roles, contents, strict=True):
        before = messages[-1] if messages else ("", "")
        opens_turn = shape.instruction == "merged" and before[0] == "system" and role == "user"
        if opens_turn or role == before[0] == "system":
            messages[-1] = (role, f"{before[1]}\n\n{text}")
        else:
            messages.append((role, text))
    if shape.instruction == "merged":  # a system turn that no question follows asks by itself
        messages = [("user" if role == "system" else role, text) for role, text in messages]
    if shape.content == "parts":
        return [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in messages]
    return [{"role": role, "content": text} for role, text in messages]


def _shows_all(rendered: str, contents: Sequence[str]) -> bool:
    """Whether a template wrote every text, and the answer but once, since what follows that is the stop."""
    return all(text in rendered for text in contents[:-1]) and rendered.count(contents[-1]) == 1
