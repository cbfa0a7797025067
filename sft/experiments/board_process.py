"""The process that writes a leaderboard; it lies below a guard, so that it never outlives the runner."""

import os
import select
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sft.errors import MachineError
from sft.experiments.executors.environment import worker_environment
from sft.experiments.executors.guarded_process import Command, GuardedProcess
from sft.experiments.executors.protocol import Lease
from sft.experiments.surroundings import masking
from sft.processes.child import module_command
from sft.runs.files import ResultsFolder
from sft.wording import one_line

MODULE = "sft.reporting.refresh"
UNDER_WAY, BASELINES = "--under-way", "--baselines"
"""Of that module."""
END_SECONDS = 5.0
"""In which a guard kills what is below it."""


@dataclass(frozen=True)
class BoardFailure:
    """Why a board was not written."""

    reason: str
    """One line."""
    by_machine: bool = False
    """Whether the machine must change, rather than the program."""
    output: str = ""
    """All that its process wrote."""


class BoardProcess(Protocol):
    """A board that is being written."""

    def is_over(self, seconds: float = 0.0) -> bool:
        """Whether its process has ended; waits for that at most some seconds."""
        ...

    def failure(self) -> BoardFailure | None:
        """What went wrong, after its end."""
        ...

    def end(self) -> None:
        """End it, whatever it has done so far; files are whole at any moment."""
        ...


StartBoard = Callable[[], BoardProcess | None]
"""Starts the process that writes a board; None where there is no board."""


def board_starter(results: ResultsFolder, *options: str) -> StartBoard:
    """Starts what writes the leaderboard of a results folder."""
    return lambda: GuardedBoard(module_command(MODULE, str(results.path), *options))


def no_board() -> None:
    """What a run starts whose experiments stand on no board."""


class GuardedBoard:
    """A command that writes a board, below a guard."""

    def __init__(self, words: Sequence[str]) -> None:
        """Start it.

        Raises:
            OSError: the system starts no process.
        """
        lease = Lease(threads=1, gpus=())
        environment = worker_environment(os.environ, Path.cwd(), lease)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the process
        self._process = GuardedProcess(Command(words, environment, Path.cwd()), self._output, self._output)

    def is_over(self, seconds: float = 0.0) -> bool:
        """Whether its process has ended; waits for that at most some seconds."""
        if self._process.code is None and select.select([self._process.socket], [], [], seconds)[0]:
            self._process.read()
        return self._process.code is not None

    def failure(self) -> BoardFailure | None:
        """What went wrong, after its end."""
        code = self._process.code
        if not code:
            return None
        self._output.seek(0)
        text = masking(os.environ)(self._output.read().decode("utf-8", "replace"))
        if code < 0:
            return BoardFailure(f"its process was ended by {signal.Signals(-code).name}", output=text)
        last = next((one_line(line) for line in reversed(text.splitlines()) if line.strip()), f"it ended with {code}")
        return BoardFailure(last, by_machine=code == MachineError.exit_code, output=text)

    def end(self) -> None:
        """End it, whatever it has done so far; files are whole at any moment."""
        self._process.hang_up()
        self._process.await_end(END_SECONDS)
        self._output.close()
