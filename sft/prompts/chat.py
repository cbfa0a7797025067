"""Prompts in the frame of a chat template."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sft.exceptions import UserError
from sft.prompts.clock import tells_unusual_time
from sft.prompts.control import ControlTokens
from sft.prompts.conversation import template_source
from sft.prompts.frames import FILLED, Frame, Frames, Outline, outline
from sft.prompts.rendering import Rendered, Turn, boundary_error, common_start, joined
from sft.prompts.style import Message, Part, PromptStyle
from sft.prompts.tokens import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REMEMBERED_BEGINNINGS = 64


# Words of each kind that tokenizers treat differently after a blank.
_WORDS = ("x", "yes", "No", "1")


class _Before(NamedTuple):
    """What stands before a question."""

    parts: tuple[Part, ...]
    text: str
    n_special: int


class ChatFormat:
    """Questions as user turns, answers as assistant turns, the instruction as system turn, by the chat template.

    The template is rendered with one marker for each text and the texts are put in afterwards, so no data can change
    what the template writes; only blanks around a text, which templates may trim, are shown to it. The instruction is
    no data: a template that reads it (for a switch such as `/no_think`) gets it as it is, its control-token strings
    apart. The prompt is what the template writes before the answer, in the ids that it has before a word; the stop is
    all from the end of the answer to the first control token, or the tokenizer's EOS where the template writes none.
    """

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", style: PromptStyle, control: ControlTokens, tokens: Tokens
    ) -> None:
        self._control = control
        self._tokens = tokens
        source = template_source(tokenizer, style.chat_template)
        self._frames = Frames(tokenizer, style, control)
        self._instruction = style.instruction
        self._before = lru_cache(_REMEMBERED_BEGINNINGS)(self._find_before)
        self._carried = ""
        self._carried = self._find_carried()
        self._frames.carry(self._carried)
        self._ends_before_words = False
        self._ends_before_words = self._find_end()
        self._stop, self.stop_text = self._find_stop(tokenizer)
        self.stop_ids = self._find_stop_ids(tokenizer)
        found = {
            "read_instruction": self._frames.reads_instruction,
            "unusual_clock": tells_unusual_time(source),
            "end_before_words": self._ends_before_words,
        }
        self.traits = frozenset(name for name, has in found.items() if has)

    def render(self, turns: Sequence[Turn], answer: str | None) -> Rendered:
        """The conversation as text and ids; the last turn is the question, `answer` its completion."""
        question = turns[-1].question
        before, pieces = self._before(tuple(turns[:-1]), outline(question))
        data = self._control.data(question.strip())
        own = tuple([data if piece is None else piece for piece in pieces])
        prompt = (*before.parts, *own)
        prompt_ids = self.prompt_ids(prompt)
        if answer is None:
            text, n_special = before.text + joined(own), before.n_special + _specials(own)
            return Rendered(text, prompt_ids, (), (), n_special, self._open_end(prompt))
        return self._answered(prompt, prompt_ids, answer)

    def render_turns(self, turns: Sequence[Message], answer: str | None, *, with_earlier: bool) -> Rendered:
        """The conversation as text and ids; an instruction stands before its system turn.

        Raises:
            UserError: the template writes no stop after an earlier answer that is asked for.
        """
        texts = [turn.text for turn in turns]
        roles = [turn.role for turn in turns]
        if self._instruction is not None:
            texts, roles = [self._instruction, *texts], ["system", *roles]
        frame = self._frames.of((*map(outline, texts), FILLED), (*roles, "assistant"))
        data = [self._control.data(text.strip()) for text in texts]
        prompt = tuple([data[piece] if isinstance(piece, int) else piece for piece in frame.pieces])
        prompt_ids = self.prompt_ids(prompt)
        if answer is None:
            return Rendered(joined(prompt), prompt_ids, (), (), _specials(prompt), self._open_end(prompt))
        done = self._answered(prompt, prompt_ids, answer)
        if not with_earlier:
            return done
        answers = [
            position
            for position, piece in enumerate(frame.pieces)
            if isinstance(piece, int) and roles[piece] == "assistant"
        ]
        return done._replace(earlier=tuple([self._earlier(prompt, place, prompt_ids) for place in answers]))

    def _earlier(self, prompt: Sequence[Part], place: int, prompt_ids: tuple[int, ...]) -> tuple[int, int]:
        """Where in the ids of a prompt the answer at a place of its parts begins, and where its stop ends."""
        before, behind = prompt[:place], prompt[place + 1].text
        end = behind.find(self.stop_text)
        if self._stop is None or end < 0 or behind[:end].strip():
            raise UserError(
                "the chat template writes no stop after the earlier answers of a conversation, so they cannot be "
                "trained; set prompting.train_turns to last",
                kind="tokenizer",
            )
        header = self.prompt_ids(before)
        answer = self._control.data(prompt[place].text + behind[:end])
        ids = self._tokens.ids([*before, answer, self._stop])
        if prompt_ids[: len(ids)] != ids or ids[-len(self.stop_ids) :] != self.stop_ids:
            raise boundary_error(answer.text)
        return len(common_start([header, ids])), len(ids)

    def _answered(self, prompt: Sequence[Part], prompt_ids: tuple[int, ...], answer: str) -> Rendered:
        answer_part = self.answer_part(answer)
        answer_ids = self._answer_ids(prompt, prompt_ids, answer_part)
        whole = [*prompt, answer_part]
        text = joined(whole) + self.stop_text
        trimmed = answer_part.text != self._carried + answer
        return Rendered(text, prompt_ids, answer_ids, self.stop_ids, _specials(whole), self._open_end(prompt), trimmed)

    def prompt_ids(self, prompt: Sequence[Part]) -> tuple[int, ...]:
        """The ids of a prompt, or of its end, before an answer."""
        if not self._ends_before_words:
            return self._tokens.ids(prompt)
        return common_start([self._tokens.ids([*prompt, word]) for word in self._words()])

    def answer_part(self, answer: str) -> Part:
        """The answer as it stands right after the prompt.

        Blanks around it are left out where the template trims them, or the tokenizer joins them to what stands there.
        """
        own = outline(answer)
        bare = self._control.data(self._carried + answer.strip())
        if own == FILLED or not answer:
            return bare
        question = (FILLED,) if self._instruction is None else (FILLED, FILLED)
        plain, shown = self._frames.of((*question, FILLED)), self._frames.of((*question, own._replace(filled=True)))
        if not (shown.head.startswith(plain.head) and shown.tail.endswith(plain.tail)):
            return bare
        before = shown.head.removeprefix(plain.head)
        after = shown.tail.removesuffix(plain.tail)
        part = self._control.data(self._carried + before + answer.strip() + after)
        prompt = self._probe()[1]
        return part if self._split_ids(prompt, self.prompt_ids(prompt), part) is not None else bare

    def _answer_ids(self, prompt: Sequence[Part], prompt_ids: tuple[int, ...], answer: Part) -> tuple[int, ...]:
        ids = self._split_ids(prompt, prompt_ids, answer)
        if ids is None:
            raise boundary_error(answer.text)
        return ids

    def _split_ids(self, prompt: Sequence[Part], prompt_ids: tuple[int, ...], answer: Part) -> tuple[int, ...] | None:
        """The ids of an answer between prompt and stop; None where it shares a token with one of them."""
        if not answer.text:
            return ()
        stop = [self._stop] if self._stop else []
        whole = self._tokens.ids([*prompt, answer, *stop])
        end = len(whole) - (len(self.stop_ids) if stop else 0)
        start = len(prompt_ids)
        if whole[:start] != prompt_ids or end < start or (stop and whole[end:] != self.stop_ids):
            return None
        return whole[start:end]

    def _find_before(self, turns: tuple[Turn, ...], question: Outline) -> tuple[_Before, tuple[Part | None, ...]]:
        """What stands before a question, and the parts from it on, None in place of its text."""
        texts = [] if self._instruction is None else [self._instruction]
        for turn in turns:
            texts += [turn.question, turn.answer]
        frame = self._frames.of((*map(outline, texts), question, FILLED))
        data = [*(self._control.data(text.strip()) for text in texts), None]
        parts = [data[piece] if isinstance(piece, int) else piece for piece in frame.pieces]
        start = parts.index(None) if None in parts else 0
        before = tuple(part for part in parts[:start] if part is not None)
        return _Before(before, joined(before), _specials(before)), tuple(parts[start:])

    def _open_end(self, prompt: Sequence[Part]) -> tuple[Part, ...]:
        """What follows the last control token of the frame: no token reaches across one."""
        for place in range(len(prompt) - 1, -1, -1):
            part = prompt[place]
            if part.controls and not part.is_data:
                end = self._control.spans(part.text)[-1][1]
                return (Part(part.text[end:], False, 0), *prompt[place + 1 :])
        return tuple(prompt)

    def _probe(self) -> tuple[Frame, tuple[Part, ...]]:
        """The frame of one bare question, and its prompt with some text filled in."""
        frame = self._frames.of((FILLED, FILLED) if self._instruction is None else (FILLED, FILLED, FILLED))
        text = self._control.data("x")
        return frame, tuple([text if isinstance(piece, int) else piece for piece in frame.pieces])

    def _words(self) -> list[Part]:
        return [self._control.data(self._carried + word) for word in _WORDS]

    def _find_carried(self) -> str:
        """Blanks before the answer that the tokenizer joins to it, as in `Assistant: yes`."""
        frame, prompt = self._probe()
        return frame.head[len(frame.head.rstrip(" \t")) :] if self._changes_before_words(prompt) else ""

    def _changes_before_words(self, prompt: Sequence[Part]) -> bool:
        ids = self._tokens.ids(prompt)
        return any(self._tokens.ids([*prompt, word])[: len(ids)] != ids for word in self._words())

    def _find_end(self) -> bool:
        """Whether the prompt's last ids before a word are not those at the end of a text, and none reaches into it."""
        prompt = self._probe()[1]
        if not self._changes_before_words(prompt):
            return False
        end = len(joined(prompt))
        return not any(
            start < end < stop
            for word in self._words()
            for start, stop in self._tokens.offsets(joined([*prompt, word]))
        )

    def _find_stop(self, tokenizer: "PreTrainedTokenizerBase") -> tuple[Part | None, str]:
        tail = self._probe()[0].tail
        found = self._control.first(tail)
        if found:
            text = tail[: found.end()]
            return self._control.frame(text), text
        if tokenizer.eos_token is None:
            raise UserError(
                "the chat template writes no control token after an answer and the tokenizer has no EOS token, "
                "so an answer has no end; set prompting.format to plain",
                kind="tokenizer",
            )
        return None, str(tokenizer.eos_token)

    def _find_stop_ids(self, tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
        if self._stop is None:
            return (int(tokenizer.eos_token_id),)
        open_ended = [*self._probe()[1], self._control.data(self._carried + "x")]
        ids = self._tokens.ids(open_ended)
        whole = self._tokens.ids([*open_ended, self._stop])
        if whole[: len(ids)] != ids or len(whole) == len(ids):
            raise boundary_error("x")
        return whole[len(ids) :]


def _specials(parts: Sequence[Part]) -> int:
    return sum(part.controls for part in parts if part.is_data)
