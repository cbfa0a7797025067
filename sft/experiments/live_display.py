"""How a run looks on a terminal: a table of the grid that is drawn again as it goes, and the failures above it."""

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from sft.experiments.closing import opening_line
from sft.experiments.costs import StageCosts
from sft.experiments.display import RunningJob
from sft.experiments.grid_progress import GridProgress
from sft.experiments.live_table import frame
from sft.experiments.progress_text import failure_line
from sft.experiments.run_facts import RunFacts
from sft.experiments.schedule import Workload
from sft.experiments.terminal import LiveRegion
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import StatusRecord
from sft.wording import one_line

MIN_INTERVAL = 0.1
"""Seconds between two drawings: many stages may end at once."""


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
