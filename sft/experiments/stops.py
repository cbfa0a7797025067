"""The signals that ask a run to end: they are noted, and the runner's loop heeds them."""

import signal
import threading
from types import FrameType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
INSISTING = (signal.SIGINT, signal.SIGTERM)
"""Signals that mean `at once` when they come second; a terminal that closes may send SIGHUP twice."""


class StopSignals:
    """Notes stop signals while it is entered; those that the caller ignores (as `nohup` does) stay ignored."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        """What asked the run to end."""
        self.at_once = False
        """Whether it was asked again, after it had heeded the first time.

        Before that it is one request that came twice: `timeout` sends its signal to the command and then to its group.
        """
        self.heeded = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Start to listen; outside the main thread there is nothing to listen to."""
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back to who had them."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.first is None:
            self.first = signal.Signals(number)
        elif self.heeded and number in INSISTING:
            self.at_once = True
