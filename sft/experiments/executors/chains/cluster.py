"""What the executor of chains asks of a cluster."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from sft.experiments.executors.protocol import EndedAs, MemorySeen, Outcome, Request
from sft.runs.records import ErrorRecord


class NoAnswer(Exception):
    """The cluster did not answer; it may a moment later, and nothing follows from it for any job."""


class Full(NoAnswer):
    """The cluster takes no more submissions for now; this one it has not taken."""


@dataclass(frozen=True)
class Seen:
    """How a submission stands, as the cluster tells it."""

    standing: Literal["queued", "running", "ended"]
    error: ErrorRecord | None = None
    """Why it ended, where that was not by its own doing."""
    ended_as: EndedAs = "failed"
    host: str | None = None
    code: int | None = None
    """The exit code of its command; None where that is not known."""
    waits_for: str | None = None
    """Why it has no place yet, in the words of the cluster."""
    needs_person: bool = False
    """Whether it will have none before somebody acts."""
    unbegun: ErrorRecord | None = None
    """What this end means for a stage that had not begun its work, of which nothing is lost; None where no more."""
    is_hopeless: bool = False
    """Whether it ended because what it waited for did not end well; no process of it was started."""

    @property
    def is_explained(self) -> bool:
        """Whether the cluster said why it ended, so that its own files need not be waited for."""
        return self.error is not None or self.is_hopeless

    def outcome(self, code: int, unexplained: ErrorRecord) -> Outcome:
        """Of a job that has left no word of its own.

        Args:
            code: that it gets.
            unexplained: its error where the cluster does not say why it ended.
        """
        ended_as = self.ended_as if self.error is not None else "failed"
        return Outcome(code, self.error or unexplained, MemorySeen(), ended_as=ended_as)


class Cluster(Protocol):
    """Places where a command can be run; everything is called from one thread."""

    name: str
    """As in the registry of executors."""

    look_seconds: float
    """Between two questions while all runs."""

    places: Mapping[str, str] | None
    """What of its options decides on which machines jobs run; None where they all run on this one."""

    outlives_runner: bool
    """Whether what was submitted goes on when the runner has ended."""

    at_once: float
    """Submissions that may wait or run at the same time."""

    threads: int
    """Of the computations of a job."""

    @property
    def gpus(self) -> int:
        """The most GPUs that a job can be given."""
        ...

    def check(self, requests: Collection[Request]) -> None:
        """Find out whether there is a cluster, and whether it can ever give what is asked for.

        Raises:
            UserError: an option names what is not there.
            MachineError: there is no cluster, or nobody has what is asked for.
        """
        ...

    def submit(self, name: str, command: Sequence[str], log: Path, request: Request, grace: float) -> str:
        """Have a command run.

        Args:
            name: that no other submission has.
            command: its words.
            log: where its output goes, as nodes see it.
            request: what its place must have, and which submissions must have ended well.
            grace: seconds before the end of its time, or of its place, at which it is sent SIGTERM.

        Returns:
            What the cluster calls it.

        Raises:
            Full: it was not submitted, and may be later.
            NoAnswer: it may or may not have been submitted.
            MachineError: it was refused.
        """
        ...

    def find(self, name: str) -> str | None:
        """What the cluster calls a submission; None where it knows none of that name.

        Raises:
            NoAnswer: as it says.
        """
        ...

    def look(self, ids: Collection[str]) -> Mapping[str, Seen]:
        """How submissions stand; those that are not known any more are left out.

        Raises:
            NoAnswer: as it says.
        """
        ...

    def cancel(self, ids: Collection[str]) -> None:
        """End submissions with all their processes, whatever they do.

        Raises:
            NoAnswer: as it says.
        """
        ...

    def close(self) -> None:
        """Let go of the cluster; what was submitted is ended or not as it does with those who leave."""
        ...
