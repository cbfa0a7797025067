"""Rows to prompts: the same ids for training, scoring, generation and inspection."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.prompts.chat import ChatFormat
from sft.prompts.control import ControlTokens
from sft.prompts.fitting import fit
from sft.prompts.inputs import InputTemplate, question_text
from sft.prompts.label_check import LabelCheck
from sft.prompts.plain import PlainFormat
from sft.prompts.rendering import Format, Rendered, Turn
from sft.prompts.source import SourceFormat
from sft.prompts.style import Cuts, Encoded, Example, LabelIds, PromptStyle
from sft.prompts.text import TextFormat, WholeFormat
from sft.prompts.tokens import Tokens
from sft.prompts.turns import LimitedTurns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class PromptBuilder:
    """Builds the prompts of one style with one tokenizer.

    Attributes:
        stop_ids: ids that end every completion.
        stop_text: what they read as.
        control_ids: ids of the tokenizer's control tokens.
        format: chat or plain; of models that answer in another way text or source.
        surroundings: what stands around texts of an encoder-decoder; None of other models.
        traits: what of the prompts only tokenizer and template tell: `read_instruction`, the template reads the
            instruction; `unusual_clock`, it writes a time by other than plain directives; `end_before_words`, the
            prompt's last ids before a word are not those at the end of a text; `stop_in_text`, the stop does not
            begin with a control token, though it holds one or begins with an added token.

    Raises:
        UserError: the tokenizer is not a fast one, has no usable chat template, or has no ids for the stop; the
            input template does not fit the input columns.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", style: PromptStyle) -> None:
        if not tokenizer.is_fast:
            raise UserError("the tokenizer has no fast version, which prompts need (tokenizer.json)", kind="tokenizer")
        self._style = style
        self._template = _input_template(style)
        own = tokenizer.chat_template
        templates = [*(own.values() if isinstance(own, dict) else [own]), style.chat_template]
        control = ControlTokens(tokenizer, filter(None, templates))
        self._tokens = Tokens(tokenizer, control)
        self.control_ids = frozenset(control.ids.values())
        self._format = self._format_of(tokenizer, control)
        self.stop_ids = self._format.stop_ids
        self.stop_text = self._format.stop_text
        self.format = style.format
        self.surroundings = style.surroundings
        first = self.stop_ids[:1]
        added = not tokenizer.added_tokens_decoder.keys().isdisjoint(first)
        in_text = self.control_ids.isdisjoint(first) and (added or not self.control_ids.isdisjoint(self.stop_ids))
        self.traits = self._format.traits | ({"stop_in_text"} if in_text else set())
        self._last: tuple[Any, list[list[Turn]]] = (None, [])

    def _format_of(self, tokenizer: "PreTrainedTokenizerBase", control: ControlTokens) -> Format:
        match self._style.format:
            case "chat":
                return ChatFormat(tokenizer, self._style, control, self._tokens)
            case "plain":
                return PlainFormat(self._style, control, self._tokens)
            case "text":
                return TextFormat(control, self._tokens)
            case "source":
                if self._style.surroundings is None:
                    raise ValueError("an encoder-decoder's texts need what stands around them")
                return SourceFormat(self._style, self._style.surroundings, control, self._tokens)
            case "whole":
                return WholeFormat(control, self._tokens, tokenizer.eos_token_id)

    def encode(
        self, rounds: Sequence[Sequence[Example]], row: Example, limit: int | None, cut_output: bool = True
    ) -> Encoded:
        """A row as prompt, and as prompt and completion where it has an output.

        Args:
            rounds: in-context examples, each with an output, in the order shown; they give way by whole rounds.
            row: the question.
            limit: tokens of prompt and completion; None is no limit.
            cut_output: whether `max_output_length` cuts outputs; false for labels, which are never cut.

        Raises:
            TooLong: does not fit after everything that may give way.
            DataError: plain format and an output with a blank line.
            UserError: a label is over `max_output_length`, or answer and surroundings share a token.
        """
        if row.turns:
            return self._conversation(row, limit, cut_output)
        shown = self._shown(rounds, cut_output)
        columns, lost = self._columns(row.inputs)
        answer = None if row.output is None else self._output(row.output, cut_output)

        def render(dropped: int, texts: Mapping[str, str]) -> Rendered:
            turns = [turn for examples in shown[dropped:] for turn in examples]
            turns.append(Turn(self._question(row, texts), "", 0, 0))
            return self._format.render(turns, None if answer is None else answer[0])

        fitted = fit(render, len(shown), columns, self._tokens, limit)
        kept = [turn for examples in shown[fitted.rounds :] for turn in examples]
        cut = Cuts(
            input_tokens=lost + sum(turn.input_cut for turn in kept),
            output_tokens=(answer[1] if answer else 0) + sum(turn.output_cut for turn in kept),
            examples=sum(len(examples) for examples in shown[: fitted.rounds]),
            fitted_tokens=fitted.tokens,
        )
        return _encoded(fitted.rendered, cut)

    def _conversation(self, row: Example, limit: int | None, cut_output: bool) -> Encoded:
        """As `encode`, of a conversation: its earlier rounds give way before the texts of the last one."""
        answer = None if row.output is None else self._output(row.output, cut_output)
        limited = LimitedTurns.of(row.turns, self._tokens, self._style.max_input_length)

        def render(dropped: int, texts: Mapping[str, str]) -> Rendered:
            turns, given = limited.kept(dropped, texts), None if answer is None else answer[0]
            return self._format.render_turns(turns, given, with_earlier=self._style.train_turns == "all")

        fitted = fit(render, len(limited.rounds) - 1, limited.cuttable, self._tokens, limit)
        n_dropped = sum(map(len, limited.rounds[: fitted.rounds]))
        cut = Cuts(limited.removed, answer[1] if answer else 0, 0, fitted.tokens, n_dropped)
        return _encoded(fitted.rendered, cut)

    def label_ids(self, words: Sequence[str]) -> list[LabelIds]:
        """Labels as completions of any prompt of this builder, in the order of the words.

        Raises:
            UserError: two labels are equal after tokenisation, one has no ids, or one is over `max_output_length`.
        """
        question = Turn("x", "", 0, 0)
        words_of: dict[tuple[int, ...], str] = {}
        labels = []
        for word in words:
            rendered = self._format.render([question], self._output(word, False)[0])
            if not rendered.answer_ids:
                raise UserError(f"the label {word!r} has no tokens; give it words in dataset.labels", kind="tokenizer")
            twin = words_of.setdefault(rendered.answer_ids, word)
            if twin != word:
                raise UserError(
                    f"the labels {twin!r} and {word!r} are the same tokens {list(rendered.answer_ids)}; "
                    "give one of them other words in dataset.labels",
                    kind="tokenizer",
                )
            labels.append(LabelIds(word, rendered.answer_ids, rendered.stop_ids))
        return labels

    def label_text(self, word: str) -> str:
        """A label as it is written right after a prompt, without its stop."""
        return self._format.answer_part(self._output(word, False)[0]).text

    def check_labels(self, prompts: Iterable[Encoded], labels: Sequence[LabelIds]) -> None:
        """Make sure that the labels have these ids after these very prompts.

        Args:
            prompts: rows without an answer, encoded by this builder.
            labels: as `label_ids` gave them.

        Raises:
            UserError: kind tokenizer; a label's ids depend on the row.
        """
        check = LabelCheck(self._format, self._tokens, labels)
        for prompt in prompts:
            check(prompt)

    def _shown(self, rounds: Sequence[Sequence[Example]], cut_output: bool) -> list[list[Turn]]:
        """The in-context examples as text; those of the last row are most often those of all rows."""
        asked = tuple(map(tuple, rounds)), cut_output
        if self._last[0] != asked:
            self._last = asked, [[self._turn(example, cut_output) for example in examples] for examples in rounds]
        return self._last[1]

    def _turn(self, example: Example, cut_output: bool) -> Turn:
        if example.output is None:
            raise ValueError("an in-context example needs an output")
        columns, lost = self._columns(example.inputs)
        answer, answer_lost = self._output(example.output, cut_output)
        return Turn(self._question(example, columns), answer, lost, answer_lost)

    def _question(self, row: Example, texts: Mapping[str, str]) -> str:
        """The texts of the columns, and what is asked about them."""
        shown = question_text(self._template, texts)
        return f"{shown}\n{row.question}" if row.question else shown

    def _columns(self, inputs: Mapping[str, str]) -> tuple[Mapping[str, str], int]:
        """The columns under `max_input_length`, and the tokens they lost."""
        limit = self._style.max_input_length
        if limit is None:
            return inputs, 0
        cuts = {column: self._tokens.cut(text, limit) for column, text in inputs.items()}
        return {column: cut.text for column, cut in cuts.items()}, sum(cut.removed for cut in cuts.values())

    def _output(self, output: str, may_cut: bool) -> tuple[str, int]:
        """An output under `max_output_length`, and the tokens it lost."""
        limit = self._style.max_output_length
        if limit is None:
            return output, 0
        cut = self._tokens.cut(output, limit)
        if cut.removed and not may_cut:
            raise UserError(
                f"the label {output!r} has {cut.tokens + cut.removed} tokens, prompting.max_output_length is {limit}, "
                "and a label is never cut; raise it or leave it out"
            )
        return cut.text, cut.removed


def _input_template(style: PromptStyle) -> InputTemplate | None:
    if style.input_template is None:
        return None
    try:
        return InputTemplate(style.input_template, style.input_columns)
    except UserError as error:
        raise UserError(f"prompting.input_template {error}") from None


def _encoded(done: Rendered, cut: Cuts) -> Encoded:
    return Encoded(
        done.text,
        done.prompt_ids,
        done.answer_ids,
        done.stop_ids,
        done.n_special,
        cut,
        done.trimmed,
        done.earlier,
        done.tail,
    )
