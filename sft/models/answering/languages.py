"""What an encoder-decoder's tokenizer puts around texts, which for mBART, M2M and NLLB names a language."""

import re
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.prompts.style import Surroundings
from sft.registry import nearest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SOURCE, TARGET = "source_lang", "target_lang"
SHOWN_CODES = 5
_CODE = re.compile(r"(?:__)?[a-z]{2,3}(?:_[A-Za-z]{2,4})?(?:__)?")
_PROBE = "x"


def language_codes(tokenizer: "PreTrainedTokenizerBase") -> list[str]:
    """The codes of the languages that a tokenizer names in texts; none where it names none."""
    if not hasattr(tokenizer, "src_lang"):
        return []
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return sorted(text for text in special if _CODE.fullmatch(text))


def surroundings_of(
    tokenizer: "PreTrainedTokenizerBase", source_lang: str | None, target_lang: str | None
) -> Surroundings:
    """What stands around texts that are read, and around those that are written.

    Args:
        tokenizer: of an encoder-decoder; it is left with these languages.
        source_lang: code of the language that is read; None: the tokenizer's own choice.
        target_lang: code of the language that is written.

    Raises:
        UserError: kind tokenizer: it has no such language, needs one, or does not end texts.
    """
    codes = language_codes(tokenizer)
    for path, code in ((SOURCE, source_lang), (TARGET, target_lang)):
        if code is not None and code not in codes:
            raise UserError(f"{path} {_unknown(code, codes)}", kind="tokenizer")
    if codes and target_lang is None:
        text = f"{TARGET} is missing: the tokenizer names the language of each text that is written"
        raise UserError(f"{text}; write one of its codes, such as {', '.join(codes[:SHOWN_CODES])}", kind="tokenizer")
    if codes:
        languages: Any = tokenizer
        languages.src_lang, languages.tgt_lang = source_lang or languages.src_lang, target_lang
    body = tuple(tokenizer(_PROBE, add_special_tokens=False)["input_ids"])
    before, after = _around(tuple(tokenizer(_PROBE)["input_ids"]), body)
    opening, ending = _around(tuple(tokenizer(text_target=_PROBE)["input_ids"]), body)
    end = tokenizer.eos_token_id
    if end is None:
        raise UserError("the tokenizer has no end-of-text token, which ends what a decoder writes", kind="tokenizer")
    place = ending.index(end) if end in ending else None
    if place is None:
        return Surroundings(before, after, opening, (end,), starts=False)
    behind = ending[place + 1 :]
    return Surroundings(before, after, behind or opening, ending[: place + 1], starts=bool(behind))


def _around(whole: tuple[int, ...], body: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    for start in range(len(whole) - len(body) + 1):
        if whole[start : start + len(body)] == body:
            return whole[:start], whole[start + len(body) :]
    raise UserError("the tokenizer changes the ids of a text by what it puts around it", kind="tokenizer")


def _unknown(code: str, codes: list[str]) -> str:
    if not codes:
        return (
            f"{code!r}: the tokenizer names no languages; leave it out (a prefix goes into prompting.input_template)"
        )
    near = nearest(code, codes)
    hint = f" (did you mean {near}?)" if near else ""
    more = ", ..." if len(codes) > SHOWN_CODES else ""
    return f"{code!r} is no language of the tokenizer{hint}; it has {', '.join(codes[:SHOWN_CODES])}{more}"
