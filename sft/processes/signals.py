"""Signals that ask a process to end: how a worker, a run and a command of this program answer them."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn, Self

STOPPED_EXIT_CODE = 75
"""What a worker ends with that stopped because it was asked to."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

INSISTING = (signal.SIGINT, signal.SIGTERM)
"""Signals that mean `at once` when they come second; a terminal that closes may send SIGHUP twice."""


class StopRequested(BaseException):
    """The worker was asked to stop; not an error of the stage, so no `except Exception` meets it."""


class _Request:
    """Of this process, as signal handlers are."""

    received = False
    deferred = False


def listen() -> None:
    """Answer SIGTERM: raise `StopRequested`, unless inside `deferred`."""
    _Request.received = _Request.deferred = False
    signal.signal(signal.SIGTERM, _on_signal)


def stop_requested() -> bool:
    """Whether the process was asked to stop; a block under `deferred` looks at this and ends early."""
    return _Request.received


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """In this block a request is only noted; where the block does not heed it, `StopRequested` comes at its end.

    Raises:
        StopRequested: at the end of the block, when a request came meanwhile.
    """
    _Request.deferred = True
    try:
        yield
    finally:
        _Request.deferred = False
    if _Request.received:
        raise StopRequested


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    if _Request.received:
        return  # a scheduler and the runner may both ask; what the first request ends must not be disturbed
    _Request.received = True
    if not _Request.deferred:
        raise StopRequested


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


def end_on_early_signals() -> None:
    """Have signals that stop a run end a command that is not, or no longer, running one."""
    numbers = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
    if os.getpid() == 1:
        numbers.append(signal.SIGTERM)  # of itself, it does nothing to the first process of a PID namespace
    for number in numbers:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda *_: end_by(signal.SIGTERM))


def end_by(number: signal.Signals) -> NoReturn:
    """End this process by a signal, so that shells and schedulers see which one it was; never returns.

    The system spares the first process of a PID namespace, as a container's is: that one exits as a shell would.
    """
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
