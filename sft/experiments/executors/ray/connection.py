"""The runner's side of the process that asks Ray."""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from sft.experiments.executors.guard import KILL_ALL
from sft.experiments.executors.guarded_process import Command, GuardedProcess
from sft.processes.child import module_command

CLOSE_SECONDS = 5.0
FOLDERS = "sft-ray-"
"""Beginning of the names of folders for clusters of one's own."""
LONGEST_TEMPORARY = 24
"""Characters of a folder in which Ray's sockets still have names that the system takes."""
TOKEN, TOKEN_MODE = "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"
PLACE_IN_SOURCE = re.compile(r"^\[[^]]*\] \S+:\d+: ")
"""What Ray writes before its messages."""
RETRIES = "RAY_NUM_REDIS_GET_RETRIES"
"""How often, once a second, Ray asks a cluster that refuses; by default 20 times."""


class Lost(Exception):
    """No answer came, and none will; the text says why."""


class Refused(Exception):
    """Ray's library raised an error.

    Attributes:
        names: of its class and those above it.
        cause: what it was raised from, as text.
        trace: where, as Python writes it.
    """

    def __init__(self, names: list[str], text: str, cause: str = "", trace: str = "") -> None:
        super().__init__(text)
        self.names = names
        self.cause = cause
        self.trace = trace


class Connection:
    """A process that uses Ray's library, below a guard that kills it, and what it started, when this one ends."""

    def __init__(self, has_own_cluster: bool) -> None:
        """Start the process, which asks nothing yet.

        Args:
            has_own_cluster: whether it is to start a cluster instead of connecting to one.
        """
        place = tempfile.gettempdir() if len(tempfile.gettempdir()) <= LONGEST_TEMPORARY else "/tmp"
        self._folder = OwnFolder(Path(place)) if has_own_cluster else None
        self.folder = None if self._folder is None else self._folder.name
        """For the files of a cluster of its own."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self._socket, theirs = socket.socketpair()
        with theirs:
            words = module_command("sft.experiments.executors.ray.driver", str(theirs.fileno()))
            environment = _environment(has_own_cluster)
            command = Command(words, environment, Path("/"), descriptors=[theirs.fileno()])
            self._guarded = GuardedProcess(command, self._log, self._log)
        self.is_lost = False
        """Whether no answer will come any more."""

    def ask(self, what: str, told: dict[str, Any], seconds: float) -> Any:
        """The answer to a question.

        Args:
            what: its name.
            told: what belongs to it.
            seconds: in which the answer must come.

        Raises:
            Refused: the answer is an error of Ray.
            Lost: none came, and none will.
        """
        if self.is_lost:
            raise Lost("the connection was lost")
        try:
            self._socket.sendall(f"{json.dumps([what, told])}\n".encode())
            reply = json.loads(self._line(seconds))
        except TimeoutError:
            self.is_lost = True
            raise Lost(f"no answer within {seconds:g} s") from None
        except OSError:
            self.is_lost = True
            raise Lost(self._last_words()) from None
        if "error" in reply:
            raise Refused(reply["error"], reply["text"], reply["cause"], reply["trace"])
        return reply["answer"]

    def close(self) -> None:
        """End the process and all that it started on this machine."""
        if not self.is_lost:
            with contextlib.suppress(Lost, Refused):
                self.ask("leave", {}, CLOSE_SECONDS)
        self.is_lost = True
        self._socket.close()
        self._guarded.order(KILL_ALL)
        self._guarded.await_end(CLOSE_SECONDS)
        self._guarded.hang_up()
        self._log.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _line(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        received = b""
        while not received.endswith(b"\n"):
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            told = self._socket.recv(1 << 16)
            if not told:
                raise ConnectionResetError
            received += told
        return received

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        return PLACE_IN_SOURCE.sub("", last).partition(". ")[0]


class OwnFolder:
    """For the files of a cluster; those that killed runs left are removed."""

    def __init__(self, place: Path) -> None:
        for left in place.glob(f"{FOLDERS}*/lock"):
            with contextlib.suppress(OSError), left.open("rb") as lock:  # of another user, or in use
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left.parent, ignore_errors=True)
        self._folder = tempfile.TemporaryDirectory(prefix=FOLDERS, dir=place, ignore_cleanup_errors=True)
        self.name = self._folder.name
        self._lock = open(f"{self.name}/locking", "wb")  # noqa: SIM115  lives as long as the folder
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(f"{self.name}/locking", f"{self.name}/lock")  # nobody finds it before it is locked

    def cleanup(self) -> None:
        """Remove it."""
        self._folder.cleanup()
        self._lock.close()


def _environment(has_own_cluster: bool) -> dict[str, str]:
    """Of the process: that of the runner, and nothing is reported to Ray's makers.

    Others of this machine could else use a cluster of its own, or it would write a token into the user's home.
    """
    environment = {RETRIES: "5", **os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    if has_own_cluster and not any(name.startswith("RAY_AUTH_") for name in environment):
        environment |= {TOKEN_MODE: "token", TOKEN: secrets.token_hex(32)}
    return environment
