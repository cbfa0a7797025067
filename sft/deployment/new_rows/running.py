"""Starts the process that answers new rows, says how it goes, and tells how it ended."""

import os
import select
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sft.deployment.new_rows.origin import Origin
from sft.deployment.new_rows.work_files import WorkFolder
from sft.exceptions import InternalError, MachineError, SftError, StageFailure, UserError
from sft.experiments.executors.environment import worker_environment
from sft.experiments.executors.guarded_process import Command, GuardedProcess
from sft.experiments.executors.protocol import Lease
from sft.experiments.running.settings import masking
from sft.processes.child import module_command
from sft.processes.signals import StopSignals
from sft.processes.working_folder import is_imported_from
from sft.runs.records import ErrorRecord
from sft.wording import duration, one_line

MODULE = "sft.deployment.new_rows"
OUT_OF_MEMORY = ("oom_gpu", "oom_host")
TELL_SECONDS = 10.0
"""Between two lines about progress."""
PAUSE_SECONDS = 0.2
END_SECONDS = 5.0
"""In which a guard kills what is below it."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Ended:
    code: int
    error: ErrorRecord | None
    output: str


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
            ended = _one_process(output, origin, memory_step, WorkFolder(Path(scratch)), say)
        if isinstance(ended, signal.Signals):
            return ended
        if ended.code == 0:
            return None
        if ended.error is None or ended.error.kind not in OUT_OF_MEMORY or ended.error.at_loading:
            raise _failure(ended)
        memory_step += 1
        say(f"memory ran out ({ended.error.message}); it goes on with less at a time")


def _one_process(
    output: Path, origin: Origin, memory_step: int, work: WorkFolder, say: Say
) -> _Ended | signal.Signals:
    origin.write(work.wanted)
    places = [os.getcwd()] if is_imported_from() else []
    words = module_command(MODULE, str(output), str(work.path), str(memory_step), places=places)
    environment = worker_environment(os.environ, Path.cwd(), Lease())
    news = _News(origin.n_rows, say)
    with work.log.open("ab") as log, StopSignals() as stops:
        process = GuardedProcess(Command(words, environment, Path.cwd()), log, log)
        try:
            while process.code is None and stops.first is None:
                if select.select([process.socket], [], [], PAUSE_SECONDS)[0]:
                    process.read()
                news.tell(work.told())
        finally:
            process.hang_up()
            process.await_end(END_SECONDS)
        if stops.first is not None:
            return stops.first
    text = masking(os.environ)(work.log.read_text("utf-8", "replace"))
    return _Ended(process.code or 0, work.error(), text)


class _News:
    """Says how many rows are answered, now and then."""

    def __init__(self, n_rows: int, say: Say) -> None:
        self._n_rows = n_rows
        self._say = say
        self._first: tuple[float, int] | None = None
        self._next = time.monotonic() + TELL_SECONDS

    def tell(self, n_answered: int | None) -> None:
        """Say it, where it is time to."""
        now = time.monotonic()
        if n_answered is None:
            return
        began, before = self._first = self._first or (now, n_answered)
        if now < self._next or n_answered in (before, self._n_rows):
            return
        self._next = now + TELL_SECONDS
        left = (self._n_rows - n_answered) * (now - began) / (n_answered - before)
        self._say(f"{n_answered:,} of {self._n_rows:,} rows, about {duration(left)} left")


def _failure(ended: _Ended) -> SftError:
    if ended.code < 0:
        return StageFailure(
            f"the process that answers was ended by {signal.Signals(-ended.code).name}; the same command goes on "
            "where it stopped",
            kind="killed",
        )
    if ended.error is None:
        last = next((one_line(line) for line in reversed(ended.output.splitlines()) if line.strip()), "")
        return InternalError(f"{ended.output}internal error: {last or f'it ended with {ended.code}'}")
    kinds = {UserError.exit_code: UserError, MachineError.exit_code: MachineError}
    return kinds.get(ended.code, StageFailure)(ended.error.message, kind=ended.error.kind)
