"""Which strings of a tokenizer are control: they steer the model, so data must never turn into them."""

import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from sft.prompts.style import Part

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TAG = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
_HTML = re.compile(
    r"</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|s|sub|sup|code|pre|p|br|hr|div"
    r"|span|ul|ol|li|a|img)/?>"
)
_WORD = re.compile(r"\w")
_REMEMBERED_TEXTS = 8192


class ControlTokens:
    """The control tokens of a tokenizer.

    These are its special tokens, and of the tokens that were only added to its vocabulary those that are spelled like
    a tag (`<think>`, `<|user|>`, `[INST]`) or that a chat template writes. Added tokens for ordinary text (runs of
    blanks or line breaks, the HTML tags of Gemma) are not: text with them is tokenised as the model learned it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", templates: Iterable[str]) -> None:
        sources = "\n".join(templates)
        special = set(tokenizer.all_special_tokens)
        self.ids: dict[str, int] = {}
        for index, token in tokenizer.added_tokens_decoder.items():
            text = token.content
            if token.special or text in special or _is_control(text, sources):
                self.ids[text] = index
        named = {tokenizer.eos_token, tokenizer.bos_token}
        unknown = tokenizer.unk_token if tokenizer.unk_token not in named else None
        self._steering = frozenset(index for text, index in self.ids.items() if text != unknown)
        self._pattern = _pattern(self.ids)
        self.data = lru_cache(_REMEMBERED_TEXTS)(self._data)

    def count(self, text: str) -> int:
        """Control-token strings in a text."""
        return sum(1 for _ in self._pattern.finditer(text))

    def count_ids(self, ids: Iterable[int]) -> int:
        """Control tokens among ids; the token for unknown characters, which any text can give, is not counted."""
        steering = self._steering
        return sum(1 for index in ids if index in steering)

    def first(self, text: str) -> re.Match[str] | None:
        """The first control-token string in a text."""
        return self._pattern.search(text)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the control-token strings of a text begin and end."""
        return [match.span() for match in self._pattern.finditer(text)]

    def replace(self, text: str, other: Callable[[str], str]) -> str:
        """The text with another one in place of every control-token string."""
        return self._pattern.sub(lambda match: other(match.group()), text)

    def frame(self, text: str) -> Part:
        """Text of the frame, whose control tokens are meant."""
        return Part(text, False, self.count(text))

    def _data(self, text: str) -> Part:
        """Text of the user, whose control-token strings are characters."""
        return Part(text, True, self.count(text))


def _is_control(text: str, sources: str) -> bool:
    """Whether a token added to the vocabulary steers: it is spelled like a tag, or a template writes it."""
    if _TAG.fullmatch(text):
        return not _HTML.fullmatch(text)
    return bool(_WORD.search(text)) and not text.isalnum() and text in sources


def _pattern(strings: Collection[str]) -> re.Pattern[str]:
    """Leftmost, then longest, as tokenizers match; grouped by first character to pass ordinary text fast."""
    groups: dict[str, list[str]] = {}
    for text in sorted(strings, key=lambda item: (-len(item), item)):
        groups.setdefault(text[0], []).append(text[1:])
    branches = [re.escape(first) + "(?:" + "|".join(map(re.escape, rest)) + ")" for first, rest in groups.items()]
    return re.compile("|".join(branches) if branches else r"(?!)")
