"""A cluster of one machine: each submission is a process in a session of its own, which outlives who submitted it.

`python process_cluster.py RESULTS.submitted ARGUMENTS...` is the command `sft ARGUMENTS...` with such a cluster as the
executor `processes`, which remembers its submissions in that file. Where it has the option `results_path`, each
submission runs as on another machine: under another host name, with processes of its own, and the results folder at
that path alone.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.chains.options import ClusterOptions
from sft.experiments.executors.options import ExecutorOptions, options_of
from sft.experiments.executors.protocol import Request

PATIENCE = 2.0
MEMORY = "SFT_TEST_SUBMITTED"
HOST = "node7"
ELSEWHERE = """
hostname "$1" && mount --bind "$2" "$3" && mount -t tmpfs none "$2" && exec >> "$4" 2>&1 && shift 4 && exec "$@"
"""
UNSHARE = ("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")


def may_unshare() -> bool:
    """Whether a process may be given names and processes of its own here."""
    tried = (
        subprocess.run([*UNSHARE, "hostname", HOST], capture_output=True, check=False)
        if shutil.which("unshare")
        else None
    )
    return tried is not None and tried.returncode == 0


class ProcessCluster:
    """Remembers its submissions in a file, so that a later runner finds them."""

    name = "processes"
    look_seconds = 0.2
    outlives_runner = True
    places: Mapping[str, str] | None
    gpus = 0
    threads = 1

    def __init__(self, memory: Path, at_once: float = 2, elsewhere: tuple[Path, Path] | None = None) -> None:
        """
        Args:
            memory: the file of submissions.
            at_once: as of any cluster.
            elsewhere: the results folder here, and where others see it.
        """
        self.at_once = at_once
        self._memory = memory
        self._elsewhere = elsewhere
        self.places = None if elsewhere is None else {}

    def check(self, _requests: Collection[Request]) -> None:
        """All is there."""

    def submit(self, name: str, command: Sequence[str], log: Path, _request: Request, _grace: float) -> str:
        words, written = list(command), log
        if self._elsewhere is not None:
            words = [*UNSHARE, "sh", "-c", ELSEWHERE, "sh", HOST, *map(str, (*self._elsewhere, log)), *words]
            written = self._memory.with_name("started.log")
        with written.open("ab") as output:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
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


def main(arguments: list[str]) -> None:
    """The command, with this executor."""
    from sft.cli import app
    from sft.experiments.executors import executor_registry, option_registry

    executor_registry["processes"] = "tests.support.process_cluster:on_processes"
    option_registry["processes"] = "sft.experiments.executors.chains.options:ClusterOptions"
    os.environ[MEMORY] = arguments[0]
    sys.argv[1:] = arguments[1:]
    app()


def on_processes(options: ExecutorOptions, say: Callable[[str], None]) -> ChainExecutor:
    """As the registry makes it."""
    memory = Path(os.environ[MEMORY])
    there = options_of(ClusterOptions, options.executor_options).results_path
    elsewhere = None if there is None else (memory.with_suffix(""), there)
    return ChainExecutor(ProcessCluster(memory, elsewhere=elsewhere), options, say, PATIENCE)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[2]))  # it is run by its path
    main(sys.argv[1:])
