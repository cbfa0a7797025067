"""An instruction as a chat template gets it that reads it: as it is, its control-token strings apart."""

from sft.prompts.control import ControlTokens
from sft.prompts.conversation import MARKERS, marker
from sft.prompts.style import Part

_FIRST_PLACE = 60_000
"""Of the strings that are set apart; markers of turns come before it."""


class ReadInstruction:
    """The text that the template is given, in which one marker stands for each string that it must not get.

    These are control-token strings, which would open turns, and characters that are markers themselves.
    """

    def __init__(self, text: str, control: ControlTokens) -> None:
        self._apart: list[Part] = []

        def hide(found: str) -> str:
            self._apart.append(control.data(found))
            return marker(_FIRST_PLACE + len(self._apart) - 1)

        pieces = MARKERS.split(text)
        self.text = "".join(
            hide(piece) if MARKERS.fullmatch(piece) else control.replace(piece, hide) for piece in pieces
        )

    def part(self, place: int) -> Part | None:
        """What the marker of a place stands for; None for one of a turn."""
        return self._apart[place - _FIRST_PLACE] if place >= _FIRST_PLACE else None
