"""How a worker is asked to stop: SIGTERM ends it at once, or at the next moment at which its work can be kept."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

STOPPED_EXIT_CODE = 75
"""What a worker ends with that stopped because it was asked to."""


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


__all__ = ["STOPPED_EXIT_CODE", "StopRequested", "deferred", "listen", "stop_requested"]
