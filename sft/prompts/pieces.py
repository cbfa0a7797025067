"""Prompts tokenised in pieces, each of which has the ids that it has in the whole; what recurs is tokenised once."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sft.prompts.control import ControlTokens
from sft.prompts.style import Part

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REMEMBERED_PIECES = 8192
_LONGEST_REMEMBERED = 4096
"""Characters of a piece that is remembered; longer ones seldom recur, and many of them fill the memory."""

_COMPARED_WITH_WHOLE = 16
"""Texts that are tokenised both ways before pieces are trusted."""


class Junction(NamedTuple):
    """A control token of the frame behind which a text is cut; it ends one piece and begins the next."""

    closing: Part
    """The frame's text up to it, itself included."""
    opening: Part
    """The frame's text from it on."""
    token: int
    """Its id."""


class Junctions:
    """Where texts may be cut: at control tokens that part what stands before them from what stands behind.

    Tokenizers take such tokens out of a text before anything else, and read what stands between two of them by itself
    (`extract_and_normalize` of the tokenizers library). What may depend on the neighbour is whether a stretch is the
    first of the text, and the blanks that a token swallows; both pieces hold the token itself, so that both are as in
    the whole. Left out are tokens that are found after normalisation, tokens that must stand between non-words, and
    tokens that another one may cover.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", control: ControlTokens) -> None:
        self._control = control
        added = tokenizer.added_tokens_decoder
        self._contents = [token.content for token in added.values()]
        self._parting = {
            token.content
            for index, token in added.items()
            if not (token.normalized or token.single_word) and control.count_ids([index])
        }
        self._may_cut = lru_cache(None)(self._find_whether)
        self.of = lru_cache(_REMEMBERED_PIECES)(self._find)
        """The last place in a text of the frame where it may be cut; None where there is none."""

    def _find(self, text: str) -> Junction | None:
        for start, end in reversed(self._control.spans(text)):
            token = text[start:end]
            if self._may_cut(token):
                closing, opening = self._control.frame(text[:end]), self._control.frame(text[start:])
                return Junction(closing, opening, self._control.ids[token])
        return None

    def _find_whether(self, token: str) -> bool:
        """Whether the token is always found where it is written, and parts what stands beside it."""
        if token not in self._parting:
            return False
        starts = tuple(token[:length] for length in range(1, len(token)))
        for other in self._contents:
            if token in other and other != token:
                return False
            if other.endswith(starts) and any(other.endswith(start) and other != start for start in starts):
                return False
        return True


class Found(NamedTuple):
    """What a tokenizer made of a text."""

    ids: tuple[int, ...]
    strange: int
    """Control tokens among them, less those that the frame writes."""


Encode = Callable[[Sequence[Part]], Found]


class _Begun(NamedTuple):
    """What texts begin with, up to a junction."""

    parts: tuple[Part, ...] = ()
    ids: tuple[int, ...] = ()
    strange: int = 0
    junction: Junction | None = None


class Pieces:
    """Tokenises texts piece by piece, or whole where the tokenizer gives other ids for the pieces."""

    def __init__(self, junctions: Junctions, whole: Encode, alone: Encode) -> None:
        """
        Args:
            junctions: where texts may be cut.
            whole: tokenises a text.
            alone: the same of a piece, faster.
        """
        self._junctions = junctions
        self._whole = whole
        self._alone = alone
        self._short_piece = lru_cache(_REMEMBERED_PIECES)(self._encode_piece)
        self._last: tuple[Part, ...] = ()
        self._begun = _Begun()
        """What the last texts have in common."""
        self._to_compare = _COMPARED_WITH_WHOLE
        self._is_trusted = True

    def of(self, parts: Iterable[Part]) -> Found:
        """The ids of the parts as one text."""
        parts = tuple(parts)
        found = self._in_pieces(parts) if self._is_trusted else None
        if found is None:
            return self._whole(parts)
        if self._to_compare:
            self._to_compare -= 1
            whole = self._whole(parts)
            self._is_trusted = whole == found
            return whole
        return found

    def _in_pieces(self, parts: tuple[Part, ...]) -> Found | None:
        """Goes on from what the last texts begin with; None where a junction is not read as its token."""
        known = self._begun if parts[: len(self._begun.parts)] == self._begun.parts else _Begun()
        junction, strange = known.junction, known.strange
        piece = [junction.opening] if junction else []
        ids: list[int] = []
        shared: tuple[int, int, int, Junction] | None = None
        for place in range(len(known.parts), len(parts) + 1):
            part = parts[place] if place < len(parts) else None
            end = self._end(part) if part else None
            if part and not end:
                piece.append(part)
                continue
            found = self._piece((*piece, end.closing) if end else tuple(piece), junction, end)
            if found is None:
                return None
            ids += found.ids
            strange += found.strange
            if end:
                junction, piece = end, [end.opening]
                if self._last[len(known.parts) : place + 1] == parts[len(known.parts) : place + 1]:
                    shared = place + 1, len(known.ids) + len(ids), strange, end
        whole = known.ids + tuple(ids)
        self._last = parts
        self._begun = known if shared is None else _Begun(parts[: shared[0]], whole[: shared[1]], *shared[2:])
        return Found(whole, strange)

    def _end(self, part: Part) -> Junction | None:
        return self._junctions.of(part.text) if part.controls and not part.is_data else None

    def _piece(self, parts: tuple[Part, ...], first: Junction | None, last: Junction | None) -> Found | None:
        is_short = sum(len(part.text) for part in parts) <= _LONGEST_REMEMBERED
        return (self._short_piece if is_short else self._encode_piece)(parts, first, last)

    def _encode_piece(self, parts: tuple[Part, ...], first: Junction | None, last: Junction | None) -> Found | None:
        """The ids of a piece without its first junction, which the piece before has; None where one is not there."""
        ids, strange = self._alone(parts)
        if (first and ids[:1] != (first.token,)) or (last and ids[-1:] != (last.token,)):
            return None
        return Found(ids[1:] if first else ids, strange)
