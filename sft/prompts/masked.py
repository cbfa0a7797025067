"""A copy of a tokenizer that knows its control tokens under other names only."""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.prompts.control import ControlTokens
from sft.prompts.pieces import Found, Junctions, Pieces
from sft.prompts.style import Part

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Unicode keeps this noncharacter out of interchanged text, so it can open the other names.
_MARK = "\U0010fffe"
_BREAK = f"{_MARK}\ue000"
_FIRST_NAME = 0xE001


class MaskedTokenizer:
    """Tokenises frame and data together, with every control-token string of the data as ordinary characters.

    `split_special_tokens` is one flag for a whole call and leaves tokens alone that are added but not special. Here
    the control tokens keep their flags (which blanks they swallow, say) and lose their spelling, so that the text
    around them is tokenised exactly as the tokenizer does it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", control: ControlTokens) -> None:
        self._control = control
        self._names = {text: f"{_MARK}{chr(_FIRST_NAME + place)}" for place, text in enumerate(control.ids)}
        state = json.loads(tokenizer.backend_tokenizer.to_str())
        added = state["added_tokens"]
        ordinary = [token for token in added if token["content"] not in control.ids]
        state.update(added_tokens=ordinary, truncation=None, padding=None)
        self._backend: Any = type(tokenizer.backend_tokenizer).from_str(json.dumps(state))
        self._add_names([token for token in added if token["content"] in control.ids])
        self._true_ids: dict[int, int | None] = {
            self._backend.token_to_id(name): control.ids[text] for text, name in self._names.items()
        }
        self._true_ids[self._backend.token_to_id(_BREAK)] = None
        for token in ordinary:
            self._true_ids[self._backend.token_to_id(token["content"])] = token["id"]
        junctions = Junctions(tokenizer, control)
        ways = [partial(self._encode, broken=broken) for broken in (False, True)]
        self._pieces = [Pieces(junctions, encode, encode) for encode in ways]
        self._check(tokenizer)

    def ids(self, parts: Sequence[Part]) -> tuple[int, ...]:
        """Ids of the parts as one text.

        Raises:
            UserError: kind tokenizer; the vocabulary spells a control token whatever is done to the text.
        """
        for pieces in self._pieces:
            found = pieces.of(parts)
            if not found.strange:
                return found.ids
        raise UserError("the tokenizer turns ordinary characters of the data into a control token", kind="tokenizer")

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Start and end in the text of each of its tokens."""
        return list(self._backend.encode(text.replace(_MARK, "\ufffd"), add_special_tokens=False).offsets)

    def _encode(self, parts: Sequence[Part], broken: bool) -> Found:
        raw = self._backend.encode(self._text(parts, broken), add_special_tokens=False).ids
        strange = self._control.count_ids(index for index in raw if index not in self._true_ids)
        found = (self._true_ids.get(index, index) for index in raw)
        return Found(tuple(index for index in found if index is not None), strange)

    def _text(self, parts: Sequence[Part], broken: bool) -> str:
        """One text; `broken` puts a gap into control-token strings of data, for vocabularies that hold them whole."""
        split = {text: f"{text[0]}{_BREAK}{text[1:]}" for text in self._names} if broken else {}
        pieces = []
        for part in parts:
            if not part.is_data:
                pieces.append(self._control.replace(part.text, self._names.__getitem__))
                continue
            text = part.text.replace(_MARK, "\ufffd")
            pieces.append(self._control.replace(text, split.__getitem__) if broken else text)
        return "".join(pieces)

    def _add_names(self, tokens: list[dict[str, Any]]) -> None:
        from tokenizers import AddedToken

        for token in tokens:
            flags = {name: token[name] for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
            self._add(AddedToken(self._names[token["content"]], **flags))
        self._add(AddedToken(_BREAK, special=True, normalized=False))

    def _add(self, token: Any) -> None:
        if token.special:
            self._backend.add_special_tokens([token])
        else:
            self._backend.add_tokens([token])

    def _check(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        text = "a b\n".join(["", *self._control.ids, ""])
        expected = tokenizer(text, add_special_tokens=False, split_special_tokens=False)["input_ids"]
        if list(self.ids([self._control.frame(text)])) != list(expected):
            raise UserError(
                "the data holds control tokens of the tokenizer, and this tokenizer cannot read them as characters; "
                "take them out of the data",
                kind="tokenizer",
            )
