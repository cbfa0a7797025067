"""How a run looks on a terminal: a table of the grid that is drawn again as it goes, and the failures above it."""

import io
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from sft.experiments.running.display import RunningJob
from sft.experiments.running.schedule import Workload
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.summary import RunFacts
from sft.pipeline.jobs import PlannedJob
from sft.processes.quiet_stream import QuietStream
from sft.runs.records import StatusRecord
from sft.terminal.live.progress import GridProgress, failure_line
from sft.terminal.live.table import frame
from sft.terminal.run_summary import opening_line
from sft.wording import one_line

MIN_INTERVAL = 0.1
"""Seconds between two drawings: many stages may end at once."""

UP, CLEAR_LINE, CLEAR_BELOW = "\x1b[A", "\x1b[K", "\x1b[J"

BEGIN, END = "\x1b[?2026h\x1b[?25l", "\x1b[?25h\x1b[?2026l"
"""Shown as one, and without the cursor jumping; the cursor is back after every write, whatever ends the process."""


class LiveDisplay:
    """Draws the table; what fails, and what is said, stays above it."""

    def __init__(
        self,
        stream: TextIO,
        costs: StageCosts,
        console: Console | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            stream: a terminal.
            costs: learns what stages take.
            console: as of `LiveRegion`.
            now: a clock in seconds.
        """
        self._region = LiveRegion(stream, console)
        self._progress = GridProgress(costs)
        self._now = now
        self._began_at = now()
        self._drawn_at = float("-inf")

    def began(self, work: Workload) -> None:
        """Show the grid before its first job."""
        self._began_at = self._now()
        self._progress.began(work)
        self._draw()

    def opened(self, found: RunFacts) -> None:
        """Say above the table what earlier runs left."""
        self.say(opening_line(found))

    def started(self, job: PlannedJob, status: StatusRecord) -> None:
        """Show that a job was started."""
        self._progress.started(job, status)
        self._draw()

    def ticked(self, running: Sequence[RunningJob]) -> None:
        """Show what runs now."""
        self._progress.ticked(running)
        self._draw()

    def ended(self, job: PlannedJob, status: StatusRecord) -> None:
        """Show how a job ended; what failed, also to be tried again, in a line that stays."""
        self._progress.ended(job, status)
        line = failure_line(self._progress, job, status)
        if line is not None:
            self._region.above(Text(line, style="yellow" if status.state == "pending" else "red"))
        self._draw()

    def say(self, line: str) -> None:
        """Print a line above the table."""
        self._region.above(Text(one_line(line)))

    def closed(self) -> None:
        """Take the table away: the closing summary says what it said."""
        self._region.draw(())

    def _draw(self) -> None:
        now = self._now()
        if now - self._drawn_at < MIN_INTERVAL:
            return
        self._drawn_at = now
        width, height = self._region.size
        self._region.draw(frame(self._progress, width, height, now - self._began_at))


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
