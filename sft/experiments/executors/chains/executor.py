"""The executor of clusters: hands over chains of jobs, and learns by files what becomes of each."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sft.exceptions import MachineError
from sft.experiments.executors.chains.asking import Asking
from sft.experiments.executors.chains.cluster import Cluster, NoAnswer
from sft.experiments.executors.chains.handle import ChainHandle, Submitted
from sft.experiments.executors.chains.needs import Needs
from sft.experiments.executors.chains.options import refuse_local_options
from sft.experiments.executors.chains.submitter import Submitter
from sft.experiments.executors.chains.supervisor import Supervisor
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import Capacity, Item, JobAttempt, Request
from sft.experiments.executors.waiting import Waiter
from sft.pipeline.gpus import gpus_needed
from sft.pipeline.jobs import PlannedJob
from sft.runs.chains import Submission, SubmittedTry, read
from sft.runs.files import results_of

FILE_SECONDS = 0.5
"""Between two looks at the files of what runs."""
PATIENCE_SECONDS = 60.0
"""Within which the last files of an ended chain appear: so long do network disks remember that one is not there."""


class ChainExecutor:
    """Runs jobs on a cluster; everything is to be called from one thread."""

    takes_chains = True

    def __init__(
        self,
        cluster: Cluster,
        options: ExecutorOptions,
        say: Callable[[str], None],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Nothing is asked or submitted yet.

        Args:
            cluster: where chains run.
            options: how their processes are started and stopped.
            say: called with a line for the user.
            patience: seconds in which the last files of an ended chain are waited for.
        """
        refuse_local_options(cluster.name, options)
        self._cluster = cluster
        self.outlives_runner = cluster.outlives_runner
        self._waiter = Waiter()
        self._asking = Asking(cluster.name, say)
        self._submitter = Submitter(cluster, self._asking, options, say, patience)
        """Hands chains over."""
        self._supervisor = Supervisor(cluster, self._asking, patience)
        """Learns what becomes of them."""
        self._chains: dict[str, Submitted] = {}
        """Those that have not ended, by their names."""
        self._needs = Needs()
        self._least = Request()
        """The smallest request of a job."""

    def expect(self, jobs: Sequence[PlannedJob]) -> None:
        """Have the cluster asked whether it can give what the jobs need."""
        self._needs = Needs({job.folder.path: job for job in jobs})
        stages = ((job.record.stage, job.record.config) for job in jobs)
        needed = {Request(gpus_needed(stage, config, self._cluster.gpus)) for stage, config in stages}
        self._least = min(needed, key=lambda request: request.gpus, default=Request())
        if jobs:  # a finished grid needs no cluster
            self._cluster.check(needed)

    def warnings(self, experiments: Mapping[str, Sequence[PlannedJob]], reused: Collection[Path]) -> list[str]:
        """None: what a place gives is known when a job is there."""
        return []

    def capacity(self) -> Capacity:
        """Full when as many submissions wait or run as may."""
        is_held = self._asking.is_full or not self._submitter.is_shown
        is_full = len(self._chains) >= self._cluster.at_once or (is_held and bool(self._chains))
        return Capacity(self._cluster.gpus, is_full=is_full)

    def startable(self, waiting: Sequence[Item], request_of: Callable[[Item], Request]) -> Iterator[Item]:
        """As many as may be handed over, first come first; the cluster has its own order."""
        before = None
        while waiting and waiting[0] is not before and not self.capacity().is_full:
            before = waiting[0]
            yield before

    def submit(self, chain: Sequence[JobAttempt], request: Request) -> Sequence[ChainHandle]:
        """Write what is to run where, then hand it over; without an answer it is handed over later."""
        self._waiter.hear_signals()
        submitted = self._submitter.prepare(chain, request, self._needs)
        self._submitter.begin_probe(results_of(chain[0].folder), self._least)
        self._chains[submitted.name] = submitted
        try:
            self._submitter.submit(submitted, self._chains.values(), time.monotonic())
        except MachineError:
            submitted.forget()
            raise
        return submitted.handles

    def adopt(self, job: JobAttempt) -> ChainHandle | None:
        """The handle of a job that an earlier run handed to this cluster."""
        record = read(SubmittedTry(job.attempt.path).submission, Submission)
        if record is None or record.executor != self._cluster.name or not self._cluster.outlives_runner:
            return None
        try:
            chain = self._chains.get(record.name) or self._submitter.find(record, job.attempt.path)
        except NoAnswer as error:
            self._chains = {}  # what was taken over so far goes on
            may = "stages of an earlier run may still be running there; run the same command when it does"
            raise MachineError(f"{self._cluster.name} does not answer ({error}), and {may}") from None
        if chain is None:
            return None
        self._chains[chain.name] = chain
        self._waiter.hear_signals()
        self._supervisor.took_over()
        return self._submitter.take_over(job, chain)

    def ended(self, timeout: float) -> Sequence[ChainHandle]:
        """What has ended since the last call."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._look(time.monotonic())
            now = time.monotonic()
            if found or now >= deadline:
                return found
            if self._waiter.wait(min(FILE_SECONDS, deadline - now)):
                return []

    def _look(self, now: float) -> list[ChainHandle]:
        chains = self._chains.values()
        self._submitter.look_at_probe(now)
        self._supervisor.look(chains, now)
        self._submitter.submit_due(chains, now)
        self._supervisor.cancel_due(chains, now)
        found = self._supervisor.ended(chains, self._needs, now)
        self._chains = {name: chain for name, chain in self._chains.items() if chain.left}
        return found

    @property
    def is_settled(self) -> bool:
        """Whether of every chain it is known that it waits, runs, has ended or was not taken."""
        refused = self._submitter.refused(self._chains.values())
        is_there = all(chain.is_there or chain in refused for chain in self._chains.values())
        return is_there and (self._supervisor.knows_all or not self._chains)

    def detach(self) -> Sequence[ChainHandle]:
        """Let go of the cluster, which goes on; `close` ends nothing then."""
        refused = self._submitter.refused(self._chains.values())
        for chain in refused:
            chain.forget()
        self._chains = {}
        return [handle for chain in refused for handle in chain.left]

    def close(self) -> None:
        """End everything that still runs."""
        self._submitter.close()
        self._supervisor.cancel_all(self._chains.values())
        self._chains = {}
        self._cluster.close()
        self._waiter.close()
