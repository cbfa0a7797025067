"""The turns of a conversation before its answer, and which of them give way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sft.prompts.style import Message
from sft.prompts.tokens import Tokens

Rounds = tuple[tuple[Message, ...], ...]


@dataclass(frozen=True)
class LimitedTurns:
    """Turns under `max_input_length`.

    Attributes:
        opening: the system turns at the beginning, which stay.
        rounds: questions with their answers, the oldest first; the last one is the question that is asked.
        removed: tokens that the turns lost.
    """

    opening: tuple[Message, ...]
    rounds: Rounds
    removed: int

    @staticmethod
    def of(turns: Sequence[Message], tokens: Tokens, limit: int | None) -> "LimitedTurns":
        """Turns of which each keeps its first `limit` tokens."""
        cuts = [None if limit is None else tokens.cut(turn.text, limit) for turn in turns]
        kept = [turn if cut is None else turn._replace(text=cut.text) for turn, cut in zip(turns, cuts, strict=True)]
        n_opening = next((place for place, turn in enumerate(kept) if turn.role != "system"), len(kept))
        return LimitedTurns(
            tuple(kept[:n_opening]), _rounds(kept[n_opening:]), sum(cut.removed for cut in cuts if cut is not None)
        )

    @property
    def cuttable(self) -> Mapping[str, str]:
        """Texts of the last round by their names, or of the system turns where nothing else is there."""
        last = self.rounds[-1] or self.opening
        return {_name(place, turn): turn.text for place, turn in enumerate(last)}

    def kept(self, dropped: int, texts: Mapping[str, str]) -> tuple[Message, ...]:
        """The turns without the first rounds, with these texts in the last one."""
        last = self.rounds[-1] or self.opening
        cut = tuple(turn._replace(text=texts[_name(place, turn)]) for place, turn in enumerate(last))
        if not self.rounds[-1]:
            return cut
        return (*self.opening, *(turn for turns in self.rounds[dropped:-1] for turn in turns), *cut)


def _rounds(turns: Sequence[Message]) -> Rounds:
    """A round begins with the first turn of a user after an answer."""
    found: list[list[Message]] = [[]]
    for turn in turns:
        if found[-1] and turn.role != "assistant" and found[-1][-1].role == "assistant":
            found.append([])
        found[-1].append(turn)
    return tuple(map(tuple, found))


def _name(place: int, turn: Message) -> str:
    return f"turn {place + 1} of the last round, {turn.role}"
