"""Prompts without a chat template: questions, `Answer:`, and a blank line after each answer."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sft.exceptions import DataError, UserError
from sft.prompts.control import ControlTokens
from sft.prompts.rendering import Rendered, Turn, boundary_error, joined
from sft.prompts.style import Message, Part, PromptStyle
from sft.prompts.tokens import Tokens

_BLANK_LINE = "\n\n"
_HOLDS_BLANK_LINE = re.compile(r"\n\r?\n")
_HEADER = "\nAnswer:"
_REMEMBERED_BEGINNINGS = 64


class _Before(NamedTuple):
    """What stands before a question, to the stop."""

    text: str
    ids: tuple[int, ...]
    n_special: int


class PlainFormat:
    """Instruction, then `input`, newline, `Answer: output` for each row, all parted by blank lines.

    The blank line is the stop: the ids that stand between two rows, put after an answer's ids and never tokenised
    with them. What stands between two stops is tokenised together. The tokenizer's own BOS comes once, in front.
    """

    stop_text = _BLANK_LINE
    traits: frozenset[str] = frozenset()

    def __init__(self, style: PromptStyle, control: ControlTokens, tokens: Tokens) -> None:
        self._control = control
        self._tokens = tokens
        self._header = control.frame(_HEADER)
        self.stop_ids = self._find_stop_ids()
        self._opening = self._find_opening()
        instruction = style.instruction.rstrip("\n") if style.instruction else ""
        self._instruction = (control.data(instruction),) if instruction else ()
        self._before = lru_cache(_REMEMBERED_BEGINNINGS)(self._find_before)
        """What stands before a question, by the turns shown."""

    def render(self, turns: Sequence[Turn], answer: str | None) -> Rendered:
        """The prompt as text and ids; the last turn is the question, `answer` its completion.

        Raises:
            DataError: an answer holds a blank line.
        """
        return self._asked(self._before(tuple(turns[:-1])), turns[-1].question, answer)

    def _asked(self, before: _Before, text_of_question: str, answer: str | None) -> Rendered:
        question = self._question(text_of_question)
        question_ids = self.prompt_ids(question)
        n_special = before.n_special + sum(part.controls for part in question)
        text = before.text + joined(question)
        prompt_ids = before.ids + question_ids
        if answer is None:
            return Rendered(text, prompt_ids, (), (), n_special, question)
        part = self.answer_part(answer)
        whole = self._tokens.ids([*question, part])
        if whole[: len(question_ids)] != question_ids:
            raise boundary_error(answer)
        answer_ids = whole[len(question_ids) :]
        text = text + part.text + _BLANK_LINE
        return Rendered(text, prompt_ids, answer_ids, self.stop_ids, n_special + part.controls, question)

    def render_turns(self, turns: Sequence[Message], answer: str | None, *, with_earlier: bool) -> Rendered:
        """The conversation as text and ids: its first system turns as paragraphs, then a block for each answer.

        Raises:
            DataError: an answer holds a blank line.
        """
        paragraphs, rounds, question = _blocks(turns)
        system = [self._control.data(text) for text in paragraphs]
        before = self._begun([*self._instruction, *system])
        earlier: list[tuple[int, int]] = []
        for asked, given in rounds:
            block, start = [*self._question(asked), self.answer_part(given)], len(before.ids)
            n_question = len(self.prompt_ids(block[:-1]))
            ids = self._tokens.ids(block)
            if ids[:n_question] != self.prompt_ids(block[:-1]):
                raise boundary_error(given)
            before = _Before(
                before.text + joined(block) + _BLANK_LINE,
                before.ids + ids + self.stop_ids,
                before.n_special + sum(part.controls for part in block),
            )
            earlier.append((start + n_question, len(before.ids)))
        rendered = self._asked(before, question, answer)
        return rendered._replace(earlier=tuple(earlier) if with_earlier else ())

    def _find_before(self, turns: tuple[Turn, ...]) -> _Before:
        blocks = [(*self._question(turn.question), self.answer_part(turn.answer)) for turn in turns]
        return self._begun(self._instruction, blocks)

    def _begun(self, paragraphs: Sequence[Part], blocks: Sequence[tuple[Part, ...]] = ()) -> _Before:
        """What the tokenizer opens a text with, paragraphs, and blocks of question and answer, each with its stop."""
        blocks = [*((paragraph,) for paragraph in paragraphs), *blocks]
        ids = list(self._opening)
        for block in blocks:
            ids += self._tokens.ids(block)
            ids += self.stop_ids
        text = self._tokens.decode(self._opening) if self._opening else ""
        text += "".join([joined(block) + _BLANK_LINE for block in blocks])
        return _Before(text, tuple(ids), sum(part.controls for block in blocks for part in block))

    def prompt_ids(self, prompt: Sequence[Part]) -> tuple[int, ...]:
        """The ids of a prompt's end; no token reaches from `Answer:` into what follows."""
        return self._tokens.ids(prompt)

    def answer_part(self, answer: str) -> Part:
        """The answer as it stands right after `Answer:`."""
        if _HOLDS_BLANK_LINE.search(answer):
            shown = answer if len(answer) <= 60 else answer[:57] + "..."
            raise DataError(
                f"the output {shown!r} holds a blank line, which ends an answer in the plain format; "
                "take it out of the data, or set prompting.format to chat"
            )
        return self._control.data(f" {answer}")

    def _question(self, question: str) -> tuple[Part, ...]:
        return self._control.data(question), self._header

    def _find_stop_ids(self) -> tuple[int, ...]:
        """The ids between two rows: a blank line at the end of a text often has others."""
        answer, question = self._control.frame("Answer: yes"), self._control.frame("Text")
        between = Part(answer.text + _BLANK_LINE + question.text, False, 0)
        ids = self._tokens.ids([between])
        offsets = self._tokens.offsets(between.text)
        start, end = len(answer.text), len(answer.text) + len(_BLANK_LINE)
        inside = [index for index, (first, last) in zip(ids, offsets, strict=True) if first >= start and last <= end]
        straddling = [span for span in offsets if span[0] < start < span[1] or span[0] < end < span[1]]
        if straddling or not inside:
            raise UserError(
                "the tokenizer has no ids for a blank line, which ends an answer in the plain format; "
                "set prompting.format to chat",
                kind="tokenizer",
            )
        return tuple(inside)

    def _find_opening(self) -> tuple[int, ...]:
        """What the tokenizer itself puts before a text: its BOS, or nothing."""
        return self._tokens.around()[0]


def _blocks(turns: Sequence[Message]) -> tuple[list[str], list[tuple[str, str]], str]:
    """System turns at the beginning, rounds of question and answer, and the last question.

    Turns of one side that follow each other are lines of one text; a later system turn is part of the question.
    """
    paragraphs: list[str] = []
    rounds: list[tuple[list[str], list[str]]] = [([], [])]
    for turn in turns:
        if turn.role == "system" and rounds == [([], [])]:
            paragraphs.append(turn.text.strip("\n"))
        elif turn.role == "assistant":
            rounds[-1][1].append(turn.text)
        else:
            if rounds[-1][1]:
                rounds.append(([], []))
            rounds[-1][0].append(turn.text)
    if rounds[-1][1]:
        rounds.append(([], []))
    told = [("\n".join(asked), "\n".join(given)) for asked, given in rounds]
    return [text for text in paragraphs if text], told[:-1], told[-1][0]
