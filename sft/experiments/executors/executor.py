"""What the runner asks of an executor."""

from collections.abc import Sequence
from typing import Protocol

from sft.runs.files import AttemptFolder, JobFolder


class Handle(Protocol):
    """One job that was submitted."""

    job: JobFolder
    pid: int | None

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the job runs."""
        ...

    def stop(self, grace: float) -> None:
        """Ask the job to end, and end it after `grace` seconds."""
        ...


class Executor(Protocol):
    """Runs `python -m sft.worker JOB_FOLDER` for each job, each in a fresh process."""

    def submit(self, job: JobFolder, attempt: AttemptFolder) -> Handle:
        """Start a job; its output goes to the files of the attempt."""
        ...

    def ended(self, timeout: float) -> Sequence[Handle]:
        """The jobs that have ended since the last call; waits for any, at most `timeout` seconds."""
        ...
