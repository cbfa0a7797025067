"""Keeps the leaderboard up to date while a grid runs; it is derived, so a failure to write it stops nothing."""

import time
from collections.abc import Callable

from sft.errors import MACHINE_ERRNOS

COST_SHARE = 20
"""A refresh comes after at least so many times the seconds that the last one took."""


class BoardRefresh:
    """Rewrites the board when something changed and enough time has passed."""

    def __init__(self, write: Callable[[], None], say: Callable[[str], None], every_seconds: float) -> None:
        self._write = write
        self._say = say
        self._every_seconds = every_seconds
        self._changed = False
        self._next = time.monotonic() + every_seconds
        self._told = False

    def changed(self) -> None:
        """There is something new to show."""
        self._changed = True

    def tick(self) -> None:
        """Rewrite it if that is due; a failure is told once, the write at the end of the run raises it."""
        began = time.monotonic()
        if not self._changed or began < self._next:
            return
        self._changed = False
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  whatever is wrong with a derived file, the jobs go on
            if not self._told:
                self._told = True
                self._say(f"the leaderboard could not be written ({type(error).__name__}: {error}); the run goes on")
        ended = time.monotonic()
        self._next = ended + max(self._every_seconds, COST_SHARE * (ended - began))


def last_refresh(write: Callable[[], None]) -> list[str]:
    """Rewrite the board after the last job; what the machine must change where it could not be."""
    try:
        write()
    except OSError as error:
        if error.errno not in MACHINE_ERRNOS:
            raise
        return [f"the leaderboard could not be written: {error}"]
    return []
