"""A process of this package that a command starts for itself, and how it ended."""

import os
import select
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sft.exceptions import InternalError, MachineError, SftError, StageFailure, UserError
from sft.experiments.executors.environment import worker_environment
from sft.experiments.executors.guarded_process import Command, GuardedProcess
from sft.experiments.executors.protocol import Lease
from sft.experiments.running.settings import masking
from sft.processes.signals import StopSignals
from sft.runs.records import ErrorRecord
from sft.wording import one_line

PAUSE_SECONDS = 0.2
END_SECONDS = 5.0
"""In which a guard kills what is below it."""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, negative for a signal.
        output: all that it wrote, without secrets.
    """

    code: int
    output: str


def run_guarded(words: Sequence[str], log: Path, watch: Callable[[], None]) -> Ended | signal.Signals:
    """Run a command with the variables of a worker; nothing of it outlives this call.

    Args:
        words: the command.
        log: takes its output.
        watch: called a few times a second.

    Returns:
        How it ended, or the signal that was meant to end this process and ended it.
    """
    environment = worker_environment(os.environ, Path.cwd(), Lease())
    with log.open("ab") as output, StopSignals() as stops:
        process = GuardedProcess(Command(words, environment, Path.cwd()), output, output)
        try:
            while process.code is None and stops.first is None:
                if select.select([process.socket], [], [], PAUSE_SECONDS)[0]:
                    process.read()
                watch()
        finally:
            process.hang_up()
            process.await_end(END_SECONDS)
        if stops.first is not None:
            return stops.first
    return Ended(process.code or 0, masking(os.environ)(log.read_text("utf-8", "replace")))


def failure(ended: Ended, error: ErrorRecord | None, killed: str) -> SftError:
    """What a failed process is told as.

    Args:
        ended: how it ended.
        error: what it left; None where it left nothing.
        killed: what to say where a signal ended it; `{}` takes the signal's name.
    """
    if ended.code < 0:
        return StageFailure(killed.format(signal.Signals(-ended.code).name), kind="killed")
    if error is None:
        last = next((one_line(line) for line in reversed(ended.output.splitlines()) if line.strip()), "")
        return InternalError(f"{ended.output}internal error: {last or f'it ended with {ended.code}'}")
    kinds = {UserError.exit_code: UserError, MachineError.exit_code: MachineError}
    return kinds.get(ended.code, StageFailure)(error.message, kind=error.kind)
