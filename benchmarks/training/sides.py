"""The sides of a comparison: each a process with a model of its own, asked by files, idle while another one works."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.commands import PEERS, ROOT
from benchmarks.training.tweets import MODEL

HERE = Path(__file__).parent
LOG_END = 3000
NAMES = ("sft", "a bare loop", "trl", "trl without checkpointing")


@dataclass(frozen=True)
class Trained:
    """What a side did in one turn.

    Attributes:
        seconds: CPU time of each step but the first.
        losses: of each step, in nats per trained token.
        peak_bytes: most resident memory of its process since it had the model.
    """

    seconds: tuple[float, ...]
    losses: tuple[float, ...]
    peak_bytes: int


class Side:
    """Trains from the same adapter on the same batches each time that it is asked."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._asked = 0

    def train(self, request: dict[str, Any]) -> Trained:
        """One turn.

        Raises:
            RuntimeError: the process ended; with the end of its log.
        """
        self._asked += 1
        path = self._folder / f"{self._asked}.request"
        path.write_text(json.dumps(request), "utf-8")
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        with contextlib.suppress(BrokenPipeError):
            print(path, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"the process ended:\n{(self._folder / 'log').read_text('utf-8')[-LOG_END:]}")
        found = json.loads(Path(answer).read_text("utf-8"))
        return Trained(tuple(found["seconds"]), tuple(found["losses"]), found["peak_bytes"])


@contextlib.contextmanager
def all_sides(folder: Path) -> Iterator[dict[str, Side]]:
    """The processes by name, from their start to their end; their requests, answers and logs are in the folder.

    Raises:
        RuntimeError: the environment of the peers is not installed.
    """
    if not (PEERS / "python").exists():
        raise RuntimeError(f"{PEERS / 'python'} is not there: make peers")
    ours = [sys.executable, str(HERE / "our_side.py")]
    theirs = [str(PEERS / "python"), str(HERE / "trl_side.py")]
    commands = ([*ours, "trainer"], [*ours, "loop"], [*theirs, "default"], [*theirs, "no-checkpointing"])
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(_side(command, folder / str(number)))
            for number, (name, command) in enumerate(zip(NAMES, commands, strict=True))
        }


@contextlib.contextmanager
def _side(command: Sequence[str], folder: Path) -> Iterator[Side]:
    folder.mkdir(parents=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(MODEL)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env=_environment(),
        )
        try:
            yield Side(process, folder)
        finally:
            process.kill()
            process.communicate()


def _environment() -> dict[str, str]:
    """Ours for a script that is started by its path."""
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}
