"""A cluster of one machine: each submission is a process in a session of its own, which outlives who submitted it."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import Request

PATIENCE = 2.0


class ProcessCluster:
    """Remembers its submissions in a file, so that a later runner finds them."""

    name = "processes"
    look_seconds = 0.2
    outlives_runner = True
    places: Mapping[str, str] | None = None
    gpus = 0
    threads = 1

    def __init__(self, memory: Path, at_once: float = 2) -> None:
        self.at_once = at_once
        self._memory = memory

    def check(self, _requests: Collection[Request]) -> None:
        """All is there."""

    def submit(self, name: str, command: Sequence[str], log: Path, _request: Request, _grace: float) -> str:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        with self._memory.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, process.pid]) + "\n")
        return str(process.pid)

    def find(self, name: str) -> str | None:
        lines = self._memory.read_text("utf-8").splitlines() if self._memory.exists() else []
        found = dict(json.loads(line) for line in lines)
        return str(found[name]) if name in found else None

    def look(self, ids: Collection[str]) -> Mapping[str, Seen]:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        return {identity: Seen("running" if _is_alive(identity) else "ended") for identity in ids}

    def cancel(self, ids: Collection[str]) -> None:
        for identity in ids:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(identity), signal.SIGKILL)

    def close(self) -> None:
        """Nothing: they need nobody."""


def process_executor(memory: Path, options: ExecutorOptions, say: Callable[[str], None]) -> ChainExecutor:
    """An executor on such a cluster, which remembers its submissions in a file."""
    at_once = float("inf") if options.detach else 2
    return ChainExecutor(ProcessCluster(memory, at_once), options, say, PATIENCE)


def _is_alive(identity: str) -> bool:
    try:
        text = Path(f"/proc/{identity}/stat").read_text("utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"
