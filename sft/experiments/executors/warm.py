"""The runner's side of the server of warm starts: a process that has imported what jobs need and forks for each."""

import contextlib
import dataclasses
import json
import signal
import socket
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sft.experiments.executors.guard import KILL_ALL
from sft.experiments.executors.guarded_process import Command, Guarded, GuardedProcess, worker_command
from sft.experiments.executors.handle import Submission
from sft.runs.records import LOADING_STAGES, JobRecord, StageName

CANNOT_FORK = 76
"""What a forked worker ends with that finds before its first line that it should have been started fresh."""
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class Preload:
    """Stages whose modules, and model types whose classes, are imported once."""

    stages: tuple[StageName, ...] = ()
    model_types: tuple[str, ...] = ()


def preload_of(records: Iterable[JobRecord]) -> Preload:
    """What a set of jobs has in common to import; model types are read from local models' `config.json`."""
    stages: dict[StageName, None] = {}
    models: dict[Path, None] = {}
    for record in records:
        stages[record.stage] = None
        name = record.config.get("model", {}).get("name")
        if record.stage in LOADING_STAGES and isinstance(name, str):
            models[Path(record.config_folder) / name] = None
    types = (_model_type(folder) for folder in models)
    return Preload(tuple(stages), tuple(dict.fromkeys(found for found in types if found is not None)))


def _model_type(folder: Path) -> str | None:
    try:
        told = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    found = told.get("model_type") if isinstance(told, dict) else None
    return found if isinstance(found, str) else None


class WarmProcess(Guarded):
    """A job in a process forked from the server; its guard talks with the runner, not with the server."""

    def __init__(self, ours: socket.socket, server: "WarmServer") -> None:
        super().__init__(ours)
        self._server = server
        self.refusal: str | None = None
        """Why the server did not fork."""

    def refuse(self, reason: str) -> None:
        """The job was not started, and once the socket is closed it cannot be: its guard would end at once."""
        self.refusal, self.code = reason, CANNOT_FORK

    def _heed(self, what: str, told: str) -> None:
        if what == "refused":
            self.refusal, self._told_code = told, CANNOT_FORK
        super()._heed(what, told)

    def _end(self) -> None:
        # A guard that dies with the server leaves processes, which are gone only when the server's guard says so.
        if self._told_code is not None or not self._server.is_dead():
            self.finish(self._told_code)


class WarmServer:
    """A guard with the server below it, and the socket to the server."""

    def __init__(self, preload: Preload, environment: Mapping[str, str]) -> None:
        """Start the server; it is ready when it has imported what `preload` names.

        Args:
            preload: what to import.
            environment: of the server, `server_environment`.
        """
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the server
        # Packets come whole or not at all, so that a server that hangs cannot block the runner in the middle of one.
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)
        with theirs:
            words = worker_command("--serve", str(theirs.fileno()), json.dumps(dataclasses.asdict(preload)))
            command = Command(words, environment, Path("/"), descriptors=[theirs.fileno()])
            self.guarded = GuardedProcess(command, self._log, self._log)
        self._jobs: list[WarmProcess] = []
        self._reason: str | None = None
        self.is_ready = False

    def submit(self, job: Submission, environment: Mapping[str, str]) -> WarmProcess:
        """Have the server fork for a job; what becomes of that is heard through the job's own socket."""
        ours, theirs = socket.socketpair()
        process = WarmProcess(ours, self)
        message = {
            "folder": str(job.folder.path.absolute()),
            "attempt": str(job.attempt.path.absolute()),
            "environment": dict(environment),
            "cores": list(job.lease.cores),
        }
        with theirs:
            try:
                socket.send_fds(self.socket, [json.dumps(message).encode()], [theirs.fileno()])
            except OSError as error:
                process.hang_up()
                process.refuse(f"the server of warm starts takes no job: {error.strerror}")
        self._jobs = [*(job for job in self._jobs if job.code is None), process]
        return process

    def read(self) -> bool:
        """Take in what the server said; whether more may come. To be called when the socket can be read."""
        told = b""
        with contextlib.suppress(ConnectionResetError):
            told = self.socket.recv(64)
        self.is_ready = bool(told)
        return bool(told)

    def is_dead(self) -> bool:
        """Whether the server itself has died, though its guard may still be ending what it left."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    @property
    def is_idle(self) -> bool:
        """Whether no job that it forked still runs."""
        return all(job.code is not None for job in self._jobs)

    def read_guard(self) -> bool:
        """Take in what the server's guard said; whether it lives. When it does not, all jobs have ended."""
        self.guarded.read()
        if self.guarded.code is None:
            return True
        for job in self._jobs:
            if job.code is None and job.pid is None:
                job.refuse(self.why_it_ended())
            elif job.code is None:
                job.finish(None)
        return False

    def kill(self, reason: str) -> None:
        """Kill the server with all its jobs."""
        self._reason = self._reason or reason
        self.guarded.order(KILL_ALL)

    def close(self) -> None:
        """Forget the server, which ends at that if it still runs."""
        self.guarded.hang_up()
        self.socket.close()
        self._log.close()

    def why_it_ended(self) -> str:
        """One line, with the last one of its output where it ended by itself."""
        if self._reason is not None:
            return self._reason
        code = self.guarded.code or 0
        if code < 0:
            return f"the server of warm starts was ended by {signal.Signals(-code).name}"
        self._log.seek(0, 2)
        self._log.seek(max(0, self._log.tell() - _TAIL_BYTES))
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        return f"the server of warm starts ended ({last})"
