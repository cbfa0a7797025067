"""Writing to a terminal that may be resized, or closed, while it is written to."""

import io
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from sft.experiments.quiet_stream import QuietStream

UP, CLEAR_LINE, CLEAR_BELOW = "\x1b[A", "\x1b[K", "\x1b[J"
BEGIN, END = "\x1b[?2026h\x1b[?25l", "\x1b[?25h\x1b[?2026l"
"""Shown as one, and without the cursor jumping; the cursor is back after every write, whatever ends the process."""


class LiveRegion:
    """The last lines of a terminal, which are drawn again and again; other lines go above them."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        """
        Args:
            stream: the terminal.
            console: knows the terminal's size and colours, and writes nothing to it; default: finds out.
        """
        self._out = QuietStream(stream)
        # It renders only: a console that writes ends the process where a pipe is broken.
        self._console = console or Console(file=io.StringIO(), force_terminal=True)
        self._lines: Sequence[Text] = ()
        self._width = self._console.width

    @property
    def size(self) -> tuple[int, int]:
        """Cells of a line and lines that can be drawn: one of each is left free, so that nothing wraps or scrolls."""
        width, height = self._console.size
        return max(1, width - 1), max(1, height - 1)

    def draw(self, lines: Sequence[Text]) -> None:
        """Put `lines` in place of those that stand there."""
        width = self._console.width
        # A terminal that became narrower has broken the lines that stood there into more.
        in_place = width == self._width and len(lines) > 0
        self._show(f"\r{UP * (self._rows(width) - 1)}" if in_place else self._erased(width), lines)
        self._lines, self._width = lines, width

    def above(self, line: Text) -> None:
        """Print a line that stays, above the region; it may be longer than the terminal is wide."""
        self._show(f"{self._erased(self._console.width)}{self._ansi(line)}\n", self._lines)

    def _show(self, start: str, lines: Sequence[Text]) -> None:
        text = "\n".join(self._ansi(line) + CLEAR_LINE for line in lines)
        self._out.write(f"{BEGIN}{start}{text}{CLEAR_BELOW if lines else ''}{END}")

    def _rows(self, width: int) -> int:
        """Rows of the terminal that the region takes."""
        return sum(max(1, -(-line.cell_len // max(1, width))) for line in self._lines)

    def _erased(self, width: int) -> str:
        """Back to the beginning of the region, row by row: some terminals keep what is cleared as one screen."""
        return f"\r{CLEAR_LINE}" + f"{UP}{CLEAR_LINE}" * (self._rows(width) - 1)

    def _ansi(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True, highlight=False)
        return captured.get()
