"""Keeps the leaderboard up to date while a grid runs; it is derived, so a failure to write it stops nothing.

A process of its own writes it, because a board of thousands of experiments takes longer than a job may wait to be
started, ended or signalled.
"""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from sft.experiments.board_process import BoardFailure, BoardProcess, StartBoard
from sft.experiments.crash_report import write_crash_log
from sft.experiments.stops import StopSignals
from sft.runs.files import ResultsFolder
from sft.wording import shown_path

COST_SHARE = 20
"""A refresh comes after at least so many times the seconds that the last one took."""
STOPPED_SECONDS = 10.0
"""How long a run that was stopped waits for its board at most: whoever sent the signal may not wait much longer."""
PAUSE_SECONDS = 0.1
"""Between two looks for a signal."""


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
                return LastBoard(warnings=(_left(results),), stopped_by=stops.first)
    failure = writing.failure()
    writing.end()
    return LastBoard() if failure is None else _failed(failure, results)


def _left(results: ResultsFolder) -> str:
    folder = shown_path(results.path)
    return f"warning: the leaderboard was not written, because the run was stopped: sft leaderboard {folder}"


def _failed(failure: BoardFailure, results: ResultsFolder) -> LastBoard:
    if failure.by_machine:
        return LastBoard(unwritten=(f"the leaderboard could not be written: {failure.reason}",))
    log = write_crash_log(failure.output, results)
    told = "" if log is None else f"; please report it with {shown_path(log)}"
    return LastBoard(warnings=(f"warning: the leaderboard could not be written ({failure.reason}){told}",))
