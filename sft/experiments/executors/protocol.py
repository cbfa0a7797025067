"""What the runner asks of an executor: the runner knows requests and handles, the executor knows the machines.

A new executor is a folder beside `local` and a line in `executor_registry`.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.records import ErrorRecord, StartMode, UnderWay

if TYPE_CHECKING:
    from sft.experiments.executors.options import ExecutorOptions
    from sft.pipeline.jobs import PlannedJob  # workers import this module, and nothing that plans

EndedAs = Literal["failed", "timeout", "preempted", "interrupted"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Request:
    """What a job asks of the machine it will run on."""

    gpus: int = 0
    own_gpus: bool = False
    """Whether no other job may use its GPUs."""

    alone: bool = False
    """Whether nothing else may run."""

    has_model: bool = True
    """Whether it loads a model, onto the CPU where it asks for no GPU."""

    seconds: float | None = None
    """How long it is expected to run; None where nobody knows, or no executor asks."""

    after: tuple[str, ...] = ()
    """What a cluster calls the submissions that must have ended with exit code 0 before it starts; where one ends
    otherwise, it never does. An executor of chains fills it in."""

    @classmethod
    def of_chain(cls, requests: Sequence["Request"], seconds: Sequence[float | None]) -> "Request":
        """What one place must have for all of a chain.

        Args:
            requests: of its jobs.
            seconds: how long each is expected to run.
        """
        known = [one for one in seconds if one is not None]
        return cls(
            gpus=max(request.gpus for request in requests),
            own_gpus=any(request.own_gpus for request in requests),
            alone=any(request.alone for request in requests),
            has_model=any(request.has_model for request in requests),
            seconds=sum(known) if len(known) == len(seconds) else None,
        )


@dataclass(frozen=True)
class Capacity:
    """What an executor has to give."""

    gpus: int = 0
    """The most GPUs that a job can be given."""

    is_full: bool = False
    """Whether no job can start, whatever it asks for."""

    is_settling: bool = False
    """Whether more will fit soon though no job has to end first."""


@dataclass(frozen=True)
class Lease:
    """What a job may use of the machine it runs on."""

    cores: tuple[int, ...] = ()
    """CPU numbers; empty: all that there are."""

    threads: int | None = None
    """Threads of its computations; None: as the environment says."""

    gpus: tuple[str, ...] | None = None
    """UUIDs or indices of its GPUs, none of them visible when empty; None leaves the choice to the environment."""


@dataclass(frozen=True)
class Placement:
    """Where a job runs, and what it was granted there."""

    host: str
    lease: Lease
    pid: int | None
    """Process id of the worker on its host, None while it is not known."""

    start: StartMode
    """How its process was started."""


@dataclass(frozen=True)
class MemorySeen:
    """What the executor saw of memory while a job ran."""

    peak_bytes: int | None = None
    """The most that the worker had."""

    limit_bytes: int | None = None
    """What there is for all processes."""

    oom_kills: int = 0
    """How often the system killed a process for want of memory meanwhile."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended, as its machine tells it; what the worker tells stands in the files of the attempt."""

    code: int
    """The exit code, negative for a signal."""

    error: ErrorRecord | None
    """Why the executor itself ended or lost the job; None where the worker's own files and code tell."""

    memory: MemorySeen
    seconds: float | None = None
    """How long its process was there, where that is known better than by who waited for it."""

    had_company: bool = False
    """Whether another job ran on its machine at some time while this one did."""

    shared_gpu: bool = False
    """Whether another job used one of its GPUs meanwhile."""

    ended_as: EndedAs = "failed"
    """What the error of the executor makes of the job."""

    was_begun: bool = True
    """False where its chain ended without it: a job that it needs had failed, or the chain was ended before."""


@dataclass(frozen=True)
class JobAttempt:
    """One try of one job."""

    folder: JobFolder
    attempt: AttemptFolder


class Handle(Protocol):
    """A job that was submitted, alone or in a chain."""

    @property
    def job(self) -> JobAttempt:
        """What was submitted."""
        ...

    @property
    def standing(self) -> UnderWay:
        """How far it is; not asked for when it has ended."""
        ...

    @property
    def placement(self) -> Placement:
        """Where it runs, as far as that is known by now."""
        ...

    def outcome(self) -> Outcome | None:
        """How it ended; None while it runs. Does not wait."""
        ...

    def stop(self, grace: float) -> None:
        """Ask it to end; it is killed with all its descendants `grace` seconds later. Does not wait.

        A second call can only bring the end nearer; 0 kills at once.
        """
        ...

    def dump_stacks(self) -> None:
        """Have the worker write the stacks of all its threads to its stderr."""
        ...


class Executor(Protocol):
    """Runs `python -m sft.worker JOB_FOLDER ATTEMPT` for each job, each in a process of its own."""

    @property
    def takes_chains(self) -> bool:
        """Whether jobs that need each other may be submitted together, to run one after the other in one place."""
        ...

    @property
    def outlives_runner(self) -> bool:
        """Whether what was submitted goes on when the runner has ended."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether it is known of all that was submitted that it waits, runs or has ended."""
        ...

    def expect(self, jobs: Sequence["PlannedJob"]) -> None:
        """Be told of all jobs of a run, before the first is submitted and before anything is written.

        Raises:
            UserError: the options name no machine.
            MachineError: one asks for what it can never be given.
        """
        ...

    def warnings(self, experiments: Mapping[str, Sequence["PlannedJob"]], reused: Collection[Path]) -> list[str]:
        """What a user should know of the machine, one line each.

        Args:
            experiments: name -> its jobs.
            reused: the folders of the jobs that are finished already.

        Raises:
            MachineError: the machine does not tell.
        """
        ...

    def capacity(self) -> Capacity:
        """What there is to give now."""
        ...

    def startable(self, waiting: Sequence[Item], request_of: Callable[[Item], Request]) -> Iterator[Item]:
        """Those that can start now, one after the other: each is submitted, or given up, before the next is asked for.

        Args:
            waiting: what wants to start, first come first; what was submitted leaves it. Small ones may go before one
                that finds no room.
            request_of: what each asks for.
        """
        ...

    def submit(self, chain: Sequence[JobAttempt], request: Request) -> Sequence[Handle]:
        """Have jobs run one after the other, in this order; their output goes to the files of their attempts.

        Args:
            chain: the jobs; one where the executor takes no chains. A job of which another one of the chain failed
                that it needs is left out. Those that need jobs of chains that were submitted before start when these
                have ended well.
            request: what `startable` found room for.

        Returns:
            The handle of each.

        Raises:
            OSError: no files or processes could be made.
        """
        ...

    def adopt(self, job: JobAttempt) -> Handle | None:
        """The handle of a job that an earlier run submitted and that still runs, or ended since; None otherwise.

        Args:
            job: with its try in force.

        Raises:
            MachineError: nobody answers who would know.
        """
        ...

    def ended(self, timeout: float) -> Sequence[Handle]:
        """What has ended since the last call; waits for any, at most `timeout` seconds.

        Returns early, with nothing, when a signal was handled or when more may be startable. A job has ended when none
        of its processes is left.
        """
        ...

    def detach(self) -> Sequence[Handle]:
        """Leave what was submitted to itself, in place of `close`; only where it outlives the runner.

        Returns:
            What was not taken, so that it is to be submitted anew.
        """
        ...

    def close(self) -> None:
        """End everything that still runs."""
        ...


MakeExecutor = Callable[["ExecutorOptions", Callable[[str], None]], Executor]
"""An entry of the registry: takes the options, and what shows a line to the user."""


def to_stderr(notice: str) -> None:
    """Say something to the user."""
    sys.stderr.write(f"{notice}\n")
