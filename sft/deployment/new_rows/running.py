"""Starts the process that answers new rows, says how it goes, and tells how it ended."""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sft.deployment.guarded import failure, run_guarded
from sft.deployment.new_rows.origin import Origin
from sft.deployment.new_rows.work_files import WorkFolder
from sft.processes.child import module_command
from sft.processes.working_folder import is_imported_from
from sft.wording import duration

MODULE = "sft.deployment.new_rows"
OUT_OF_MEMORY = ("oom_gpu", "oom_host")
TELL_SECONDS = 10.0
"""Between two lines about progress."""
KILLED = "the process that answers was ended by {}; the same command goes on where it stopped"

Say = Callable[[str], None]


def run_process(output: Path, origin: Origin, memory_step: int, say: Say) -> signal.Signals | None:
    """Have the rows answered that the origin names; when memory runs out, fewer at a time.

    Args:
        output: the file of answers.
        origin: what the answers are made from.
        memory_step: how much less than usual runs at once.
        say: shows a line.

    Returns:
        The signal that ended it, None where it came to its end.

    Raises:
        SftError: why it failed; what was answered before stays.
    """
    while True:
        with tempfile.TemporaryDirectory(prefix="sft-new-rows-") as scratch:
            work = WorkFolder(Path(scratch))
            origin.write(work.wanted)
            places = [os.getcwd()] if is_imported_from() else []
            words = module_command(MODULE, str(output), str(work.path), str(memory_step), places=places)
            ended = run_guarded(words, work.log, _News(origin.n_rows, say, work).tell)
            error = work.error()
        if isinstance(ended, signal.Signals):
            return ended
        if ended.code == 0:
            return None
        if error is None or error.kind not in OUT_OF_MEMORY or error.at_loading:
            raise failure(ended, error, KILLED)
        memory_step += 1
        say(f"memory ran out ({error.message}); it goes on with less at a time")


class _News:
    """Says how many rows are answered, now and then."""

    def __init__(self, n_rows: int, say: Say, work: WorkFolder) -> None:
        self._n_rows = n_rows
        self._say = say
        self._told = work.told
        self._first: tuple[float, int] | None = None
        self._next = time.monotonic() + TELL_SECONDS

    def tell(self) -> None:
        """Say it, where it is time to."""
        now, n_answered = time.monotonic(), self._told()
        if n_answered is None:
            return
        began, before = self._first = self._first or (now, n_answered)
        if now < self._next or n_answered in (before, self._n_rows):
            return
        self._next = now + TELL_SECONDS
        left = (self._n_rows - n_answered) * (now - began) / (n_answered - before)
        self._say(f"{n_answered:,} of {self._n_rows:,} rows, about {duration(left)} left")
