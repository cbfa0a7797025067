"""Keeps the leaderboard up to date while a grid runs, by a process below a guard; it is derived, so a failure to write
it stops nothing.

A process of its own writes it, because a board of thousands of experiments takes longer than a job may wait to be
started, ended or signalled.
"""

import os
import select
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sft.exceptions import MachineError
from sft.experiments.executors.environment import worker_environment
from sft.experiments.executors.guarded_process import Command, GuardedProcess
from sft.experiments.executors.protocol import Lease
from sft.experiments.running.crash_report import write_crash_log
from sft.experiments.running.settings import masking
from sft.processes.child import module_command
from sft.processes.signals import StopSignals
from sft.runs.files import ResultsFolder
from sft.wording import one_line, shown_path

COST_SHARE = 20
"""A refresh comes after at least so many times the seconds that the last one took."""

STOPPED_SECONDS = 10.0
"""How long a run that was stopped waits for its board at most: whoever sent the signal may not wait much longer."""

PAUSE_SECONDS = 0.1
"""Between two looks for a signal."""

MODULE = "sft.reporting.refresh"

UNDER_WAY = "--under-way"
"""Of that module."""

END_SECONDS = 5.0
"""In which a guard kills what is below it."""


@dataclass(frozen=True)
class BoardFailure:
    """Why a board was not written."""

    reason: str
    """One line."""
    by_machine: bool = False
    """Whether the machine must change, rather than the program."""
    output: str = ""
    """All that its process wrote."""


class BoardProcess(Protocol):
    """A board that is being written."""

    def is_over(self, seconds: float = 0.0) -> bool:
        """Whether its process has ended; waits for that at most some seconds."""
        ...

    def failure(self) -> BoardFailure | None:
        """What went wrong, after its end."""
        ...

    def end(self) -> None:
        """End it, whatever it has done so far; files are whole at any moment."""
        ...


StartBoard = Callable[[], BoardProcess | None]
"""Starts the process that writes a board; None where there is no board."""


class BoardRefresh:
    """Has the board rewritten when something changed and enough time has passed; never waits for it."""

    def __init__(self, start: StartBoard, say: Callable[[str], None], every_seconds: float) -> None:
        self._start = start
        self._say = say
        self._every_seconds = every_seconds
        self._changed = False
        self._writing: BoardProcess | None = None
        self._began = 0.0
        self._next = time.monotonic() + every_seconds
        self._told = False

    def changed(self) -> None:
        """There is something new to show."""
        self._changed = True

    def tick(self) -> None:
        """Take in the end of a refresh, start one that is due; the first failure is told."""
        now = time.monotonic()
        if self._writing is not None:
            if not self._writing.is_over():
                return
            self._take_in(self._writing, now)
        if not self._changed or now < self._next:
            return
        self._changed = False
        self._began = now
        try:
            self._writing = self._start()
        except OSError as error:
            self._failed(str(error))

    def end(self) -> None:
        """End the refresh that is under way; the one after the last job writes all that it would have."""
        if self._writing is not None:
            self._writing.end()
            self._writing = None

    def _take_in(self, writing: BoardProcess, now: float) -> None:
        failure = writing.failure()
        self.end()
        self._next = now + max(self._every_seconds, COST_SHARE * (now - self._began))
        if failure is not None:
            self._failed(failure.reason)

    def _failed(self, reason: str) -> None:
        if not self._told:
            self._told = True
            self._say(f"the leaderboard could not be written ({reason}); the run goes on")


@dataclass(frozen=True)
class LastBoard:
    """What became of the board after the last job."""

    unwritten: tuple[str, ...] = ()
    """Why it could not be written, where the machine must change."""
    warnings: tuple[str, ...] = ()
    """Why else it was not."""
    stopped_by: signal.Signals | None = None
    """The signal that ended it."""


def last_refresh(start: StartBoard, results: ResultsFolder, *, was_stopped: bool) -> LastBoard:
    """Have the board written after the last job, and wait for it until a signal comes.

    Args:
        start: starts its process.
        results: whose board it is.
        was_stopped: whether a signal ended the run, which then waits for some seconds only.
    """
    try:
        writing = start()
    except OSError as error:
        return LastBoard(unwritten=(f"the leaderboard could not be written: {error}",))
    if writing is None:
        return LastBoard()
    deadline = time.monotonic() + (STOPPED_SECONDS if was_stopped else float("inf"))
    with StopSignals() as stops:
        while not writing.is_over(PAUSE_SECONDS):
            if stops.first is not None or time.monotonic() >= deadline:
                writing.end()
                again = f"sft leaderboard {shown_path(results.path)}"
                warning = f"warning: the leaderboard was not written, because the run was stopped: {again}"
                return LastBoard(warnings=(warning,), stopped_by=stops.first)
    failure = writing.failure()
    writing.end()
    return LastBoard() if failure is None else _failed(failure, results)


def _failed(failure: BoardFailure, results: ResultsFolder) -> LastBoard:
    if failure.by_machine:
        return LastBoard(unwritten=(f"the leaderboard could not be written: {failure.reason}",))
    log = write_crash_log(failure.output, results)
    told = "" if log is None else f"; please report it with {shown_path(log)}"
    return LastBoard(warnings=(f"warning: the leaderboard could not be written ({failure.reason}){told}",))


def board_starter(results: ResultsFolder, *options: str) -> StartBoard:
    """Starts what writes the leaderboard of a results folder."""
    return lambda: GuardedBoard(module_command(MODULE, str(results.path), *options))


def no_board() -> None:
    """What a run starts whose experiments stand on no board."""


class GuardedBoard:
    """A command that writes a board, below a guard."""

    def __init__(self, words: Sequence[str]) -> None:
        """Start it.

        Raises:
            OSError: the system starts no process.
        """
        lease = Lease(threads=1, gpus=())
        environment = worker_environment(os.environ, Path.cwd(), lease)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self._process = GuardedProcess(Command(words, environment, Path.cwd()), self._output, self._output)

    def is_over(self, seconds: float = 0.0) -> bool:
        """Whether its process has ended; waits for that at most some seconds."""
        if self._process.code is None and select.select([self._process.socket], [], [], seconds)[0]:
            self._process.read()
        return self._process.code is not None

    def failure(self) -> BoardFailure | None:
        """What went wrong, after its end."""
        code = self._process.code
        if not code:
            return None
        self._output.seek(0)
        text = masking(os.environ)(self._output.read().decode("utf-8", "replace"))
        if code < 0:
            return BoardFailure(f"its process was ended by {signal.Signals(-code).name}", output=text)
        last = next((one_line(line) for line in reversed(text.splitlines()) if line.strip()), f"it ended with {code}")
        return BoardFailure(last, by_machine=code == MachineError.exit_code, output=text)

    def end(self) -> None:
        """End it, whatever it has done so far; files are whole at any moment."""
        self._process.hang_up()
        self._process.await_end(END_SECONDS)
        self._output.close()
