"""The runner's side of the server of warm starts: a process that has imported what jobs need and forks for each."""

import contextlib
import dataclasses
import json
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.experiments.executors.environment import THREAD_COUNTS
from sft.experiments.executors.executor import Submission
from sft.experiments.executors.fresh import worker_command
from sft.experiments.executors.guard import KILL_ALL
from sft.experiments.executors.guarded import Command, GuardedProcess
from sft.experiments.executors.preload import Preload

CANNOT_FORK = 76
"""What a forked worker ends with that finds before its first line that it should have been started fresh."""
_TAIL_BYTES = 4096


class WarmProcess:
    """A job in a process forked from the server."""

    def __init__(self, server: "WarmServer", number: int) -> None:
        self._server = server
        self._number = number
        self.pid: int | None = None
        self.code: int | None = None
        self.lost_guard = False
        self.refusal: str | None = None
        """Why the server did not fork."""

    def signal(self, number: signal.Signals) -> None:
        """Have the server, its parent, send the guard a signal."""
        if self.code is None:
            self._server.send({"do": "signal", "job": self._number, "number": int(number)})


class WarmServer:
    """A guard with the server below it, and the socket to the server."""

    def __init__(self, preload: Preload, environment: Mapping[str, str]) -> None:
        """Start the server; it is ready when it has imported what `preload` names.

        Args:
            preload: what to import.
            environment: that of the first job; the server itself has one thread whatever the jobs have.
        """
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the server
        self.socket, theirs = socket.socketpair()
        with theirs:
            words = worker_command("--serve", str(theirs.fileno()), json.dumps(dataclasses.asdict(preload)))
            variables = dict(environment) | dict.fromkeys(THREAD_COUNTS, "1")
            command = Command(words, variables, Path("/"), descriptors=[theirs.fileno()])
            self.guarded = GuardedProcess(command, self._log, self._log)
        self._jobs: dict[int, WarmProcess] = {}
        self._count = 0
        self._received = b""
        self.is_ready = False

    def submit(self, job: Submission, environment: Mapping[str, str]) -> WarmProcess:
        """Have the server fork for a job."""
        self._count += 1
        process = WarmProcess(self, self._count)
        self._jobs[self._count] = process
        message = {
            "do": "submit",
            "job": self._count,
            "folder": str(job.folder.path.absolute()),
            "attempt": str(job.attempt.path.absolute()),
            "environment": dict(environment),
            "cores": list(job.lease.cores),
        }
        self.send(message)
        return process

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; one to a server that has died is lost, and its end will be noticed."""
        with contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def read(self) -> bool:
        """Take in what the server said; whether more may come. To be called when the socket can be read."""
        told = b""
        with contextlib.suppress(ConnectionResetError):
            told = self.socket.recv(1 << 16)
        *lines, self._received = (self._received + told).split(b"\n")
        for line in lines:
            self._heed(json.loads(line))
        return bool(told)

    def read_guard(self) -> bool:
        """Take in what the server's guard said; whether it lives. When it does not, all jobs have ended."""
        self.guarded.read()
        if self.guarded.code is None:
            return True
        for process in self._jobs.values():
            process.code, process.lost_guard = -signal.SIGKILL, True
        return False

    def kill(self) -> None:
        """Kill the server with all its jobs."""
        self.guarded.signal(KILL_ALL)

    def close(self) -> None:
        """Forget the server, which ends at that if it still runs."""
        self.guarded.hang_up()
        self.socket.close()
        self._log.close()

    def why_it_ended(self) -> str:
        """One line, with the last one of its output where it ended by itself."""
        code = self.guarded.code or 0
        if code < 0:
            return f"the server of warm starts was ended by {signal.Signals(-code).name}"
        self._log.seek(0, 2)
        self._log.seek(max(0, self._log.tell() - _TAIL_BYTES))
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        return f"the server of warm starts ended ({last})"

    def _heed(self, message: Mapping[str, Any]) -> None:
        if message["is"] == "ready":
            self.is_ready = True
            return
        process = self._jobs[message["job"]]
        if message["is"] == "started":
            process.pid = message["pid"]
            return
        del self._jobs[message["job"]]
        if message["is"] == "refused":
            process.refusal = message["reason"]
            process.code = CANNOT_FORK
        else:
            code = message["code"]
            process.lost_guard = code < 0
            process.code = code if code <= 128 else 128 - code
