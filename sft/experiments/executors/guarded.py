"""Starts a command under a guard and listens to it."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sft.experiments.executors import guard

_HELD_BACK = (*guard.PASSED_ON, guard.KILL_ALL)


@dataclass(frozen=True)
class Command:
    """What to start, and where."""

    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    cores: Sequence[int] = ()
    descriptors: Sequence[int] = ()
    """Open files that it inherits beside its output."""


class GuardedProcess:
    """A command with its guard."""

    def __init__(self, command: Command, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        """Start the guard, which starts the command."""
        self.socket, theirs = socket.socketpair()
        cores = ",".join(str(core) for core in command.cores)
        with theirs, _held_back():
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, cores, *command.words],
                stdin=theirs.fileno(),
                stdout=stdout,
                stderr=stderr,
                cwd=command.folder,
                env=dict(command.environment),
                pass_fds=tuple(command.descriptors),
                start_new_session=True,
            )
        self.pid: int | None = None
        """The command's process id, None before the guard has told it."""
        self.code: int | None = None
        """The command's exit code, negative for a signal; None while it, or anything that it started, runs."""
        self.lost_guard = False
        """Whether it ended because its guard was killed."""

    def read(self) -> None:
        """Take in what the guard said; to be called when the socket can be read."""
        told = b""
        with contextlib.suppress(ConnectionResetError):
            told = self.socket.recv(64)
        if told:
            self.pid = int(told)
        else:
            self._end()

    def signal(self, number: signal.Signals) -> None:
        """Send the guard a signal."""
        if self.code is None:
            self._guard.send_signal(number)

    def hang_up(self) -> None:
        """Close the socket, at which the guard kills everything and ends."""
        self.socket.close()

    def await_end(self, seconds: float) -> None:
        """Wait for the guard's end, which the socket's end brings about; kill the guard when it takes too long."""
        try:
            self._guard.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._guard.kill()

    def _end(self) -> None:
        self.socket.close()
        code = self._guard.wait()
        self.lost_guard = code < 0
        if self.lost_guard and self.pid is not None:
            # The system kills the worker with its guard, but not what else is in the worker's session.
            guard.kill_group(self.pid)
        self.code = code if code <= 128 else 128 - code


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Signals that a new guard inherits blocked, until it can answer them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
