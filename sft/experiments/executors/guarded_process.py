"""The runner's end of a guard, and commands started under one; a job's is a new interpreter."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sft.experiments.executors import guard
from sft.experiments.executors.handle import Submission
from sft.processes.child import module_command
from sft.processes.working_folder import is_imported_from

LOST = -int(signal.SIGKILL)
"""The code of a job whose guard was killed before it told how the job ended."""


@dataclass(frozen=True)
class Command:
    """What to start, and where."""

    words: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    cores: Sequence[int] = ()
    descriptors: Sequence[int] = ()
    """Open files that it inherits beside its output."""


class Guarded:
    """A job as its guard tells of it, through a socket whose other end the guard has; nothing here waits."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self.socket = ours
        self.pid: int | None = None
        """The worker's process id, None before the guard has told it."""
        self.code: int | None = None
        """The worker's exit code, negative for a signal; None while it, or anything that it started, runs."""
        self.lost_guard = False
        """Whether it ended because its guard was killed."""
        self._guard_pid: int | None = None
        self._told_code: int | None = None
        self._received = b""

    def read(self) -> bool:
        """Take in what the guard said; whether more may come. To be called when the socket can be read."""
        told = b""
        with contextlib.suppress(ConnectionResetError):
            told = self.socket.recv(4096)
        *lines, self._received = (self._received + told).split(b"\n")
        for line in lines:
            self._heed(*line.decode().split(" ", 1))
        if not told:
            self._end()
        return bool(told)

    def order(self, order: bytes) -> None:
        """Give the guard an order; one to a guard that has ended is lost, and its end will be noticed."""
        with contextlib.suppress(OSError):
            self.socket.send(order)

    def kill_guard(self) -> None:
        """Kill the guard, and with it the worker; what else the worker started may survive."""
        if self.code is None and self._guard_pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._guard_pid, signal.SIGKILL)

    def hang_up(self) -> None:
        """Close the socket, at which the guard kills everything and ends."""
        self.socket.close()

    def _heed(self, what: str, told: str) -> None:
        if what == "started":
            self.pid, self._guard_pid = (int(number) for number in told.split())
        elif what == "ended":
            self._told_code = int(told)

    def _end(self) -> None:
        self.finish(self._told_code)

    def finish(self, code: int | None) -> None:
        """Take note of the guard's own exit code, as far as it is known: None or negative when it was killed."""
        self.lost_guard = code is None or code < 0
        if self.lost_guard and self.pid is not None:
            # The system kills the worker with its guard, but not what else is in the worker's session.
            guard.kill_group(self.pid)
        if code is None:
            code = LOST
        self.code = code if code <= 128 else 128 - code


class GuardedProcess(Guarded):
    """A command with its guard."""

    def __init__(self, command: Command, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        """Start the guard, which starts the command."""
        ours, theirs = socket.socketpair()
        super().__init__(ours)
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

    def kill_guard(self) -> None:
        """Kill the guard, and with it the worker; what else the worker started may survive."""
        self._guard.kill()

    def await_end(self, seconds: float) -> None:
        """Wait for the guard's end, which the socket's end brings about; kill the guard when it takes too long."""
        try:
            self._guard.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._guard.kill()

    def _end(self) -> None:
        self.finish(self._guard.wait())


def worker_command(*arguments: str) -> list[str]:
    """The command of a worker; where it runs must not decide what it imports."""
    places = [os.getcwd()] if is_imported_from() else []
    return module_command("sft.worker", *arguments, places=places)


def start_fresh(job: Submission, environment: Mapping[str, str]) -> GuardedProcess:
    """Start the worker of a job under a guard, in the attempt's work folder, its output in files."""
    command = Command(
        words=worker_command(str(job.folder.path.absolute()), job.attempt.path.name),
        environment=environment,
        folder=job.attempt.work,
        cores=job.lease.cores,
    )
    with job.attempt.stdout.open("ab") as stdout, job.attempt.stderr.open("ab") as stderr:
        return GuardedProcess(command, stdout, stderr)


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Signals that a new guard inherits blocked, until it ignores them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, guard.LEFT_TO_RUNNER)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
