"""Token ids as text, for people to read."""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Kind = Literal["prompt", "control", "opening", "answer", "stop"]

_WORD_STARTS = ("▁", "Ġ")
"""What vocabularies write for the blank before a word."""
_BROKEN = "\ufffd"


class Segment(NamedTuple):
    """A stretch of a row."""

    kind: Kind
    text: str


def token_text(tokenizer: "PreTrainedTokenizerBase", token: int) -> str:
    """What one token reads as; part of a character is shown as the vocabulary spells it."""
    spelled = str(tokenizer.convert_ids_to_tokens(token))
    text = _decoded(tokenizer, [token])
    if _BROKEN in text:
        return spelled
    return f" {text}" if spelled.startswith(_WORD_STARTS) and not text.startswith((" ", "\n")) else text


def prompt_segments(
    tokenizer: "PreTrainedTokenizerBase",
    prompt_ids: Sequence[int],
    control_ids: Collection[int],
    rendered: str,
    around: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> list[Segment]:
    """The prompt as stretches of ordinary text and single control tokens.

    Ids tell which control tokens are real and which only look so in the data. Some tokenizers lose blanks when a
    stretch is read by itself; then the rendered text is given in one piece.

    Args:
        tokenizer: of the model.
        prompt_ids: the prompt.
        control_ids: ids of the tokenizer's control tokens.
        rendered: the prompt as text.
        around: ids at its start and at its end that are no part of that text.
    """
    before, after = around
    found: list[Segment] = []
    for is_control, run in groupby(prompt_ids[len(before) : len(prompt_ids) - len(after)], control_ids.__contains__):
        ids = list(run)
        parts = [[token] for token in ids] if is_control else [ids]
        found += [Segment("control" if is_control else "prompt", _decoded(tokenizer, part)) for part in parts]
    whole = "".join(segment.text for segment in found)
    start, end = ([Segment("control", _decoded(tokenizer, [token])) for token in ids] for ids in around)
    return [*start, *(found if whole == rendered else [Segment("prompt", rendered)]), *end]


def completion_segments(
    tokenizer: "PreTrainedTokenizerBase",
    answer_ids: Sequence[int],
    stop_ids: Sequence[int],
    opening_ids: Sequence[int] = (),
) -> list[Segment]:
    """What a decoder of its own begins with, answer and stop, where there are any."""
    parts: list[tuple[Kind, Sequence[int]]] = [("opening", opening_ids), ("answer", answer_ids), ("stop", stop_ids)]
    return [Segment(kind, _decoded(tokenizer, ids)) for kind, ids in parts if ids]


def _decoded(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))
