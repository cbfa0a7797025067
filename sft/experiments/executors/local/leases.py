"""Who has which part of the machine: slots, CPU cores, threads, GPUs; pure, the executor starts the jobs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sft.experiments.executors.protocol import Lease, Request
from sft.processes.cpus import allowed_cpus, usable_cpus
from sft.processes.memory import memory_limit, oom_counter

MOST_EVALUATIONS = 8
"""Evaluations beside jobs on GPUs; each holds the predictions of an experiment in memory."""

Kind = Literal["gpu", "cpu", "evaluation"]
"""Jobs that lease GPUs, that load a model without one, that load none; each kind has slots of its own."""


@dataclass(frozen=True)
class Machine:
    """What the jobs of a run share."""

    jobs: int = 1
    """Jobs at the same time; where there are GPUs, of those that lease some, and again of those that have a model on
    the CPU: what leases no GPU must not keep one idle."""

    evaluations: int = 1
    """Where there are GPUs, jobs at the same time that load no model, beside all others."""

    cores: tuple[int, ...] = ()
    """CPU numbers that the runner may use; empty where they cannot be given to a process."""

    n_cores: int = 1
    """How many CPUs jobs can keep busy, fewer than `cores` where a quota gives less time."""

    max_threads: int | None = None
    """Threads per job that the user allows; default as many as its cores."""

    gpus: tuple[str, ...] | None = None
    """UUIDs; None where GPUs are not managed, and a job sees what the environment shows."""

    jobs_per_gpu: int = 1
    """Jobs that share a GPU."""

    gpu_rest_seconds: float = 60.0
    """At most, until a GPU whose memory does not become free is leased again."""

    oom_counter: Path | None = None
    """Where the system counts the processes that it killed for want of memory."""

    memory_limit: int | None = None
    """Bytes that all processes can have together."""


@dataclass(frozen=True)
class Grant:
    """A lease that was taken, and the slot it occupies."""

    slot: tuple[Kind, int]
    request: Request
    lease: Lease


def this_machine(
    jobs: int, gpus: tuple[str, ...] | None, jobs_per_gpu: int, environment: Mapping[str, str]
) -> Machine:
    """The CPU cores and GPUs that jobs share; a core for each job on a GPU, those that are left for evaluations.

    Args:
        jobs: how many run at the same time.
        gpus: UUIDs; None where GPUs are not managed.
        jobs_per_gpu: jobs that share one.
        environment: its `OMP_NUM_THREADS` caps the threads of a job.
    """
    usable = usable_cpus()
    return Machine(
        jobs=jobs,
        evaluations=min(MOST_EVALUATIONS, max(1, usable - jobs)),
        cores=allowed_cpus(),
        n_cores=usable,
        max_threads=allowed_threads(environment),
        gpus=gpus,
        jobs_per_gpu=jobs_per_gpu,
        oom_counter=oom_counter(),
        memory_limit=memory_limit(),
    )


def allowed_threads(environment: Mapping[str, str]) -> int | None:
    """The user's `OMP_NUM_THREADS`, of a list the outermost level; None where it is not set to a number."""
    written = environment.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(written) if written.isdecimal() and int(written) > 0 else None


class Leases:
    """Hands out parts of a machine and takes them back."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._slots: dict[Kind, int] = {"cpu": machine.jobs}
        if machine.gpus:
            self._slots |= {"gpu": machine.jobs, "evaluation": machine.evaluations}
        self._held: dict[tuple[Kind, int], Grant] = {}
        self._shared: dict[tuple[Kind, int], set[str]] = {}
        """Slot -> what its job did not have for itself all the time: `machine`, or GPUs."""
        self.changes = 0
        """How often a lease was taken or came back."""

    @property
    def is_full(self) -> bool:
        """Whether every slot is taken."""
        return len(self._held) >= sum(self._slots.values())

    def fits(self, request: Request, blocked: Collection[str] = ()) -> bool:
        """Whether `take` would give a lease."""
        return self._place(request, blocked) is not None

    def take(self, request: Request, blocked: Collection[str] = ()) -> Grant | None:
        """A lease for a job, None when it has to wait.

        Args:
            request: what it asks for.
            blocked: GPUs that may not be leased yet.
        """
        place = self._place(request, blocked)
        if place is None:
            return None
        slot, chosen = place
        gpus = None if self._machine.gpus is None else chosen
        grant = Grant(slot, request, Lease(self._cores(slot), self._threads(slot[0]), gpus))
        self._note_sharing(grant)
        self._held[slot] = grant
        self.changes += 1
        return grant

    def kept_for(self, request: Request, resting: Collection[str] = ()) -> frozenset[str]:
        """The GPUs that a job which has to wait for several will take: those that are free now or likely soon.

        Kept from all others, they become its own one by one.

        Args:
            request: what it asks for.
            resting: GPUs that may not be leased yet.
        """

        def wait(gpu: str) -> tuple[bool, bool, int]:
            return not self._has_room(gpu, request), gpu in resting, len(self._users(gpu))

        return frozenset(sorted(self._machine.gpus or (), key=wait)[: request.gpus])

    def release(self, grant: Grant) -> list[str]:
        """Take a lease back; returns its GPUs that no job uses any more."""
        del self._held[grant.slot]
        self.changes += 1
        return [gpu for gpu in grant.lease.gpus or () if not self._users(gpu)]

    def had_company(self, grant: Grant) -> bool:
        """Whether another job ran at some time while this one did."""
        return "machine" in self._shared[grant.slot]

    def shared_gpu(self, grant: Grant) -> bool:
        """Whether another job used one of its GPUs at some time while this one did."""
        return bool(self._shared[grant.slot] - {"machine"})

    def _place(self, request: Request, blocked: Collection[str]) -> tuple[tuple[Kind, int], tuple[str, ...]] | None:
        """The slot and the GPUs that a job would get."""
        kind = kind_of(request)
        slot = self._free_slot(kind if kind in self._slots else "cpu")
        is_alone = any(grant.request.alone for grant in self._held.values())
        if slot is None or is_alone or (request.alone and self._held):
            return None
        chosen = self._choose(request, blocked)
        return None if chosen is None else (slot, chosen)

    def _free_slot(self, kind: Kind) -> tuple[Kind, int] | None:
        return next(((kind, number) for number in range(self._slots[kind]) if (kind, number) not in self._held), None)

    def _choose(self, request: Request, blocked: Collection[str]) -> tuple[str, ...] | None:
        """The least used GPUs that have room."""
        if not request.gpus:
            return ()
        free = [gpu for gpu in self._machine.gpus or () if gpu not in blocked and self._has_room(gpu, request)]
        free.sort(key=lambda gpu: len(self._users(gpu)))
        return tuple(free[: request.gpus]) if len(free) >= request.gpus else None

    def _has_room(self, gpu: str, request: Request) -> bool:
        users = self._users(gpu)
        if users and (request.own_gpus or any(grant.request.own_gpus for grant in users)):
            return False
        return len(users) < self._machine.jobs_per_gpu

    def _users(self, gpu: str) -> list[Grant]:
        return [grant for grant in self._held.values() if gpu in (grant.lease.gpus or ())]

    def _note_sharing(self, grant: Grant) -> None:
        self._shared[grant.slot] = {"machine"} if self._held else set()
        for other in self._held.values():
            common = {gpu for gpu in grant.lease.gpus or () if gpu in (other.lease.gpus or ())}
            self._shared[other.slot] |= {"machine"} | common
            self._shared[grant.slot] |= common

    def _threads(self, kind: Kind) -> int:
        """As many as its share of the cores; evaluations divide those that jobs on GPUs leave."""
        n_cores, among = self._machine.n_cores, self._machine.jobs
        if kind == "evaluation":
            n_cores, among = n_cores - among, self._machine.evaluations
        own = max(1, n_cores // among)
        return own if self._machine.max_threads is None else min(own, self._machine.max_threads)

    def _cores(self, slot: tuple[Kind, int]) -> tuple[int, ...]:
        """The share of a slot; evaluations may go wherever there is time."""
        (kind, number), cores, jobs = slot, self._machine.cores, self._machine.jobs
        if not cores or jobs == 1 or kind == "evaluation":
            return cores
        if jobs > len(cores):
            return (cores[number % len(cores)],)
        return cores[number * len(cores) // jobs : (number + 1) * len(cores) // jobs]


def kind_of(request: Request) -> Kind:
    """Which slots a job takes where there are GPUs."""
    if request.gpus:
        return "gpu"
    return "cpu" if request.has_model else "evaluation"
