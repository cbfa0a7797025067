"""The executor of this machine: shares it out among the jobs, and says what it saw of each."""

import os
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from sft.exceptions import MachineError, UserError
from sft.experiments.executors.handle import LocalHandle, Submission
from sft.experiments.executors.local.dealing import Dealing
from sft.experiments.executors.local.gpu_memory import GpuMemory, taken_by_others
from sft.experiments.executors.local.gpu_question import Gpu
from sft.experiments.executors.local.gpus import names_of, require_gpus, usable_gpus
from sft.experiments.executors.local.leases import Grant, Leases, Machine, this_machine
from sft.experiments.executors.local.processes import JobProcesses
from sft.experiments.executors.local.reused_devices import device_warnings, precision_warnings
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import (
    Capacity,
    Item,
    JobAttempt,
    MemorySeen,
    Outcome,
    Placement,
    Request,
    to_stderr,
)
from sft.experiments.executors.start_limits import StartLimits
from sft.experiments.executors.warm import Preload, preload_of
from sft.pipeline.gpus import gpus_needed
from sft.pipeline.jobs import PlannedJob
from sft.processes.memory import oom_kills, peak_memory
from sft.runs.records import UnderWay

LOOK_SECONDS = 1.0
"""Between two looks at the memory of the workers."""
REST_SECONDS = 0.1
"""Between two looks at the memory of GPUs that rest."""


class LocalJob:
    """A job on this machine, with its lease and what was seen of its memory."""

    def __init__(self, job: JobAttempt, process: LocalHandle, grant: Grant, kills_before: int | None) -> None:
        self.job = job
        self.process = process
        self.grant = grant
        self._kills_before = kills_before
        """Processes that the system had killed for want of memory when it began."""
        self._peak_bytes: int | None = None
        self._outcome: Outcome | None = None

    @property
    def standing(self) -> UnderWay:
        """It has its place at once."""
        return "running"

    @property
    def placement(self) -> Placement:
        """This machine, and the lease."""
        return Placement(socket.gethostname(), self.grant.lease, self.process.pid, self.process.start)

    def outcome(self) -> Outcome | None:
        """How it ended; None while it runs."""
        return self._outcome

    def stop(self, grace: float) -> None:
        """Ask the job to end; it is killed with all its descendants `grace` seconds later."""
        self.process.stop(grace)

    def dump_stacks(self) -> None:
        """Have the worker write the stacks of all its threads to its stderr."""
        self.process.dump_stacks()

    def look(self) -> None:
        """Take note of the memory that its worker has."""
        if self.process.pid is not None:
            self._peak_bytes = max(peak_memory(self.process.pid) or 0, self._peak_bytes or 0) or None

    def finish(self, machine: Machine, leases: Leases) -> None:
        """It has ended; its lease is still taken."""
        kills = oom_kills(machine.oom_counter)
        risen = 0 if kills is None or self._kills_before is None else kills - self._kills_before
        self._outcome = Outcome(
            code=self.process.exit_code() or 0,
            error=self.process.error,
            memory=MemorySeen(self._peak_bytes, machine.memory_limit, risen),
            had_company=leases.had_company(self.grant),
            shared_gpu=leases.shared_gpu(self.grant),
        )


class LocalExecutor:
    """Runs single jobs as processes of this machine; everything is to be called from one thread."""

    def __init__(
        self,
        options: ExecutorOptions | None = None,
        say: Callable[[str], None] = to_stderr,
        machine: Machine | None = None,
        processes: JobProcesses | None = None,
    ) -> None:
        """Nothing is asked or started yet.

        Args:
            options: what the user chose.
            say: called with a line for the user.
            machine: what is shared out; default what this machine has, which `expect` finds out.
            processes: starts the jobs; default guarded processes of this machine.
        """
        self._options = options or ExecutorOptions()
        for name in self._options.executor_options:
            raise UserError(f"--executor-option {name}: goes with a cluster, which --executor names")
        self._say = say
        self._finds_machine = machine is None
        self._processes = processes
        self._preload = Preload()
        self._found: Sequence[Gpu] | None = None
        self._has_looked = False
        self._tells_memory = False
        self._jobs: dict[LocalHandle, LocalJob] = {}
        self._next_look = 0.0
        self._share_out(machine or Machine())

    def expect(self, jobs: Sequence[PlannedJob]) -> None:
        """Find out what this machine has, unless that was given; what asks for more than it has is refused."""
        self._preload = preload_of(job.record for job in jobs)
        if not self._finds_machine:
            return
        try:
            gpus = names_of(self._gpus())
        except MachineError as error:
            if jobs:
                raise
            # A driver that does not work keeps nobody from the board of what is done.
            self._say(f"warning: {error}")
            gpus, self._has_looked = None, True
        count = len(gpus or ())
        asked: dict[str, int] = {}
        for job in jobs:
            own = gpus_needed(job.record.stage, job.record.config, count)
            asked[job.record.name] = max(own, asked.get(job.record.name, 0))
        require_gpus(asked, gpus)
        self._tells_memory = bool(jobs)
        at_once = self._options.jobs or max(1, count * self._options.jobs_per_gpu)
        self._share_out(this_machine(at_once, gpus, self._options.jobs_per_gpu, os.environ))

    def warnings(self, experiments: Mapping[str, Sequence[PlannedJob]], reused: Collection[Path]) -> list[str]:
        """What this machine gives otherwise than a finished stage had or a config asks for, and GPUs in use."""
        taken = taken_by_others(self._found or ()) if self._tells_memory else None
        devices = device_warnings(experiments, reused, self._gpus)
        precision = precision_warnings(experiments, reused, self._gpus)
        return [*devices, *precision, *([] if taken is None else [taken])]

    def capacity(self) -> Capacity:
        """What there is to give now; GPUs that rest are being settled."""
        return Capacity(len(self._machine.gpus or ()), self._leases.is_full, bool(self._gpu_memory.resting))

    def startable(self, waiting: Sequence[Item], request_of: Callable[[Item], Request]) -> Iterator[Item]:
        """Those that can start now, by priority; GPUs are kept for one that needs several."""
        return self._dealing.round(waiting, request_of, self._gpu_memory.resting)

    outlives_runner = False
    is_settled = True

    @property
    def takes_chains(self) -> bool:
        """No: the server of warm starts outlives each job anyway, and nobody waits for this machine."""
        return False

    def adopt(self, job: JobAttempt) -> None:
        """Nothing: what runs here ends with the run that started it."""

    def submit(self, chain: Sequence[JobAttempt], request: Request) -> Sequence[LocalJob]:
        """Start a single job with a lease of this machine."""
        if len(chain) != 1:
            raise ValueError(f"this machine runs single jobs, not a chain of {len(chain)}")
        grant = self._leases.take(request, self._dealing.blocked)
        if grant is None:
            raise ValueError(f"there is no room for {chain[0].folder.path}; `startable` tells what there is room for")
        kills = oom_kills(self._machine.oom_counter)
        try:
            process = self._started.submit(Submission(chain[0].folder, chain[0].attempt, grant.lease))
        except OSError:
            self._leases.release(grant)
            raise
        job = self._jobs[process] = LocalJob(chain[0], process, grant, kills)
        return [job]

    def ended(self, timeout: float) -> Sequence[LocalJob]:
        """The jobs that have ended; returns early where GPUs rest."""
        resting = bool(self._gpu_memory.resting)
        ended = self._started.ended(min(timeout, REST_SECONDS) if resting else timeout)
        now = time.monotonic()
        jobs = [self._jobs.pop(process) for process in ended]
        for job in jobs:
            job.finish(self._machine, self._leases)
            self._gpu_memory.freed(self._leases.release(job.grant), now)
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            for job in self._jobs.values():
                job.look()
        self._gpu_memory.look(now)
        return jobs

    def detach(self) -> Sequence[LocalJob]:
        """Nothing can be left: what runs here ends with the run."""
        self.close()
        return ()

    def close(self) -> None:
        """End everything that still runs."""
        if self._processes is not None:
            self._processes.close()
        self._gpu_memory.close()

    def _share_out(self, machine: Machine) -> None:
        self._machine = machine
        self._leases = Leases(machine)
        self._dealing = Dealing(self._leases)

    def _gpus(self) -> Sequence[Gpu] | None:
        if not self._has_looked:
            self._found, self._has_looked = usable_gpus(self._options.gpus, os.environ), True
        return self._found

    @cached_property
    def _gpu_memory(self) -> GpuMemory:
        """Made when jobs are to start, as the time in which a GPU may rest begins then."""
        return GpuMemory(self._machine.gpus or (), time.monotonic(), self._machine.gpu_rest_seconds)

    @property
    def _started(self) -> JobProcesses:
        if self._processes is None:
            limits = StartLimits(self._options.start_timeout, self._options.fork_timeout)
            start, gpus = self._options.start, self._machine.gpus
            self._processes = JobProcesses(start, self._preload, self._say, gpus, limits)
        return self._processes
