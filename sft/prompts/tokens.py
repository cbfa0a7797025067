"""Text to ids, with data that can never become control."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sft.prompts.control import ControlTokens
from sft.prompts.masked import MaskedTokenizer
from sft.prompts.pieces import Found, Junctions, Pieces
from sft.prompts.style import Part

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REMEMBERED_CUTS = 8192


class CutText(NamedTuple):
    """A text kept from its start."""

    text: str
    tokens: int
    """Tokens of the kept text."""

    removed: int
    """Tokens of the text less tokens kept."""


class Tokens:
    """Tokenises rendered prompts whole; the tokenizer adds nothing of its own.

    Data without control-token strings goes through the tokenizer as it is. Where data holds one, or a control token
    came out that the frame did not write, a copy of the tokenizer takes over in which the control tokens have other
    names: only the frame is rewritten to those names, so the whole is still tokenised together. What texts have in
    common between control tokens of the frame is tokenised once.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", control: ControlTokens) -> None:
        self._tokenizer = tokenizer
        self._control = control
        self._masked: MaskedTokenizer | None = None
        self._pieces = Pieces(Junctions(tokenizer, control), self._whole, self._alone)
        # A call without padding, truncation or added tokens leaves the tokenizer's own core so.
        self._whole(())
        self.cut = lru_cache(_REMEMBERED_CUTS)(self._cut)

    def ids(self, parts: Sequence[Part]) -> tuple[int, ...]:
        """Ids of the parts as one text."""
        if any(part.controls and part.is_data for part in parts):
            return self._safe.ids(parts)
        found = self._pieces.of(parts)
        return self._safe.ids(parts) if found.strange > 0 else found.ids

    def with_special(self, text: str) -> tuple[int, ...]:
        """Ids of a text with what the tokenizer adds around one, its BOS for example."""
        encoded = self._tokenizer(text, add_special_tokens=True, split_special_tokens=False, verbose=False)
        return tuple(encoded["input_ids"])

    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids that the tokenizer itself puts before a text and after it; none where it changes the text's."""
        body, whole = self.ids([Part("x", False, 0)]), self.with_special("x")
        for start in range(len(whole) - len(body) + 1):
            if whole[start : start + len(body)] == body:
                return whole[:start], whole[start + len(body) :]
        return (), ()

    def decode(self, ids: Sequence[int]) -> str:
        """Ids as text, control tokens included."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def count(self, text: str) -> int:
        """Tokens of a text of the user's."""
        return len(self.offsets(text))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Start and end in the text of each of its tokens, read as data."""
        if self._control.count(text):
            return self._safe.offsets(text)
        encoded = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return list(encoded["offset_mapping"])

    def _cut(self, text: str, limit: int) -> CutText:
        """The longest start of the text that ends where a token ends and has at most `limit` tokens by itself."""
        if text.isascii() and len(text) < limit:
            return CutText(text, len(text), 0)
        offsets = self.offsets(text)
        total = len(offsets)
        if total <= limit:
            return CutText(text, total, 0)
        for kept in range(limit, 0, -1):
            start = text[: offsets[kept - 1][1]]
            count = self.count(start)
            if count <= limit:
                return CutText(start, count, total - count)
        return CutText("", 0, total)

    def _whole(self, parts: Sequence[Part]) -> Found:
        """As the tokenizer reads a text."""
        encoded = self._tokenizer(
            "".join([part.text for part in parts]),
            add_special_tokens=False,
            split_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return self._found(encoded["input_ids"], parts)

    def _alone(self, parts: Sequence[Part]) -> Found:
        """As its core does, without what is made of the ids for models."""
        text = "".join([part.text for part in parts])
        return self._found(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids, parts)

    def _found(self, ids: Sequence[int], parts: Sequence[Part]) -> Found:
        written = sum(part.controls for part in parts if not part.is_data)
        return Found(tuple(ids), self._control.count_ids(ids) - written)

    @property
    def _safe(self) -> MaskedTokenizer:
        if self._masked is None:
            self._masked = MaskedTokenizer(self._tokenizer, self._control)
        return self._masked
