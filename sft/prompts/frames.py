"""What a chat template writes around the texts of a conversation."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from sft.exceptions import UserError
from sft.prompts.control import ControlTokens
from sft.prompts.conversation import MARKERS, Conversation, ReadInstruction, marker, place_of, template_source
from sft.prompts.style import Part, PromptStyle

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REMEMBERED_FRAMES = 1024


class Outline(NamedTuple):
    """What a template can see of a text: the blanks around it, and whether there is more."""

    before: str
    filled: bool
    after: str


FILLED = Outline("", True, "")

Roles = tuple[str, ...]


class Frame(NamedTuple):
    """What the template writes around the texts of one conversation."""

    pieces: tuple[Part | int, ...]
    """Frame text and, by number, the texts between: all before the answer."""

    head: str
    """The pieces as rendered, with markers for the texts."""

    tail: str
    """All after the answer."""


class Frames:
    """Frames by the outlines of the texts, and by their roles where these are not instruction, question, answer, ...

    An instruction is the first text.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", style: PromptStyle, control: ControlTokens) -> None:
        self._tokenizer = tokenizer
        self._style = style
        self._control = control
        self._source = template_source(tokenizer, style.chat_template)
        self._conversation = self._new_conversation(has_system=style.instruction is not None)
        self._known: dict[tuple[tuple[Outline, ...], Roles | None], Frame] = {}
        self._carried = ""
        self._instruction = style.instruction
        self._read = self._find_read()

    @property
    def reads_instruction(self) -> bool:
        """Whether the template makes other text of the instruction than it makes of any text."""
        return self._read is not None

    def carry(self, blanks: str) -> None:
        """Take blanks off the end of what stands before an answer; they are tokenised with the answer."""
        self._carried = blanks
        self._known.clear()

    def of(self, outlines: tuple[Outline, ...], roles: Roles | None = None) -> Frame:
        """The frame of texts of these outlines, the last of them an answer.

        Raises:
            UserError: kind tokenizer; the template refuses or loses a text.
        """
        frame = self._known.get((outlines, roles))
        if frame is None:
            if len(self._known) >= _REMEMBERED_FRAMES:
                self._known.clear()
            frame = self._known[outlines, roles] = self._render(outlines, roles)
        return frame

    def _render(self, outlines: Sequence[Outline], roles: Roles | None) -> Frame:
        contents = [_shown(place, outline) for place, outline in enumerate(outlines)]
        if self._read:
            contents[0] = self._read.text
        needs_system = roles is not None and "system" in roles
        rendered = (self._with_system if needs_system else self._conversation).render(contents, roles)
        answer = marker(len(outlines) - 1)
        data = list(enumerate(outlines))[1 if self._read else 0 :]
        filled = [marker(place) for place, outline in data if outline.filled]
        if rendered.count(answer) != 1 or not all(text in rendered for text in filled):
            raise UserError("the chat template leaves out a question or an answer", kind="tokenizer")
        head, tail = rendered.split(answer)
        if outlines[-1] == FILLED and not head.endswith(self._carried):
            raise UserError("the chat template opens some answers with a blank and others not", kind="tokenizer")
        pieces = [self._piece(text) for text in MARKERS.split(head.removesuffix(self._carried)) if text]
        return Frame(tuple(pieces), head, tail)

    def _piece(self, text: str) -> Part | int:
        if not MARKERS.fullmatch(text):
            return self._control.frame(text)
        place = place_of(text)
        return (self._read.part(place) if self._read else None) or place

    def _find_read(self) -> ReadInstruction | None:
        """The instruction, where the template makes other text of it than it makes of a marker."""
        if self._instruction is None:
            return None
        read = ReadInstruction(self._instruction, self._control)
        turns = [marker(place) for place in range(1, 5)]
        blind = self._conversation.render([_shown(0, outline(read.text)), *turns])
        seeing = self._conversation.render([read.text, *turns])
        return read if seeing != blind.replace(marker(0), read.text.strip()) else None

    def _new_conversation(self, *, has_system: bool) -> Conversation:
        return Conversation(self._tokenizer, self._source, self._style.chat_template_args, has_system)

    @cached_property
    def _with_system(self) -> Conversation:
        """Renders conversations that have a system turn of their own."""
        return self._new_conversation(has_system=True)


def outline(text: str) -> Outline:
    """What a template can see of a text."""
    core = text.strip()
    if core == text and text:
        return FILLED
    if not core:
        return Outline(text, False, "")
    start = text.index(core)
    return Outline(text[:start], True, text[start + len(core) :])


def _shown(place: int, outline: Outline) -> str:
    return f"{outline.before}{marker(place) if outline.filled else ''}{outline.after}"
