"""Waiting for any of several sockets, or for a signal."""

import contextlib
import selectors
import signal
import socket
import threading
from collections.abc import Callable


class Waiter:
    """Calls back when a socket can be read; a signal that Python handles ends the wait."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._signals: tuple[socket.socket, socket.socket, int] | None = None

    def hear_signals(self) -> None:
        """Have signals end the wait, from now until `close`; other threads than the main one get none."""
        if self._signals is not None or threading.current_thread() is not threading.main_thread():
            return
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        # A signal between two waits leaves its byte here, so the next wait ends at once.
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._signals = (reader, writer, before)
        self._selector.register(reader, selectors.EVENT_READ, None)

    def watch(self, item: socket.socket, call: Callable[[], None]) -> None:
        """Call `call` whenever `item` can be read."""
        self._selector.register(item, selectors.EVENT_READ, call)

    def unwatch(self, item: socket.socket) -> None:
        """Forget a socket; to be called before it is closed."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(item)

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` and make the calls that are due; whether a signal came."""
        signalled = False
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is None:
                signalled = True
                self._take_signals()
            else:
                key.data()
        return signalled

    def close(self) -> None:
        """Give back the way of signals as it was."""
        if self._signals is not None:
            reader, writer, before = self._signals
            now = signal.set_wakeup_fd(-1)
            # Another executor may have come, or gone, meanwhile.
            with contextlib.suppress(ValueError, OSError):
                signal.set_wakeup_fd(before if now == writer.fileno() else now, warn_on_full_buffer=False)
            reader.close()
            writer.close()
            self._signals = None
        self._selector.close()

    def _take_signals(self) -> None:
        assert self._signals is not None
        with contextlib.suppress(BlockingIOError):
            while self._signals[0].recv(4096):
                pass
