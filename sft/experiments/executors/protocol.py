"""What the runner asks of an executor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.records import ErrorRecord, StartMode


@dataclass(frozen=True)
class Lease:
    """What a job may use of the machine."""

    cores: tuple[int, ...] = ()
    """CPU numbers; empty: all that the runner has."""

    threads: int | None = None
    """Threads of its computations; None: as the environment says."""

    gpus: tuple[str, ...] | None = None
    """UUIDs or indices of its GPUs, none of them visible when empty; None leaves the choice to the environment."""


@dataclass(frozen=True)
class Submission:
    """One try of one job."""

    folder: JobFolder
    attempt: AttemptFolder
    lease: Lease = Lease()


class Handle(Protocol):
    """A job that was submitted."""

    submission: Submission

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while it is not known."""
        ...

    @property
    def start(self) -> StartMode:
        """How its process was started."""
        ...

    @property
    def error(self) -> ErrorRecord | None:
        """Why the executor itself ended or lost the job; None where the worker's own files and code tell."""
        ...

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the job runs. Does not wait."""
        ...

    def stop(self, grace: float) -> None:
        """Ask the job to end; it is killed with all its descendants `grace` seconds later. Does not wait.

        A second call can only bring the end nearer; 0 kills at once.
        """
        ...

    def dump_stacks(self) -> None:
        """Have the worker write the stacks of all its threads to its stderr."""
        ...


class Executor(Protocol):
    """Runs `python -m sft.worker JOB_FOLDER` for each job, each in a process of its own."""

    def submit(self, job: Submission) -> Handle:
        """Start a job; its output goes to the files of the attempt."""
        ...

    def ended(self, timeout: float) -> Sequence[Handle]:
        """The jobs that have ended since the last call; waits for any, at most `timeout` seconds.

        Returns early, with nothing, when a signal was handled. A job has ended when none of its processes is left.
        """
        ...

    def close(self) -> None:
        """End everything that still runs."""
        ...
