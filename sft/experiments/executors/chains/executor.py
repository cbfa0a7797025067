"""The executor of clusters: hands over chains of jobs, and learns by files what becomes of each."""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sft.exceptions import MachineError
from sft.experiments.executors.chains.asking import Asking
from sft.experiments.executors.chains.cluster import Cluster, NoAnswer, Seen
from sft.experiments.executors.chains.handle import LOST_CODE, ChainHandle, Submitted
from sft.experiments.executors.chains.needs import Needs
from sft.experiments.executors.chains.options import refuse_local_options, seen_from_nodes
from sft.experiments.executors.chains.probe import Probe
from sft.experiments.executors.guarded_process import worker_command
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import Capacity, Item, JobAttempt, MemorySeen, Outcome, Request
from sft.experiments.executors.waiting import Waiter
from sft.pipeline.gpus import gpus_needed
from sft.pipeline.jobs import PlannedJob
from sft.runs.chains import Submission, SubmittedTry, read, write_chain
from sft.runs.files import ResultsFolder, results_of

FILE_SECONDS = 0.5
"""Between two looks at the files of what runs."""
SOON_SECONDS = 2.0
"""Between two questions to the cluster while something starts or stops."""
PATIENCE_SECONDS = 60.0
"""Within which the last files of an ended chain appear: so long do network disks remember that one is not there."""
QUICK_SECONDS = 60.0
"""After a chain was handed over, in which its start is looked for often; a queue may take days."""
RESUBMIT_SECONDS = 10.0


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
        self._options = options
        self._say = say
        self._patience = patience
        self._waiter = Waiter()
        self._chains: dict[str, Submitted] = {}
        self._needs = Needs()
        self._places: dict[Path, Submitted] = {}
        """The folder of a job -> the chain in which it was last submitted."""
        self._looked = float("-inf")
        """When the cluster was last asked."""
        self._has_adopted, self._knows_all = False, True
        """Whether chains of earlier runs were taken over, and whether the cluster has answered about them since."""
        self._asking = Asking(cluster.name, say)
        self._least = Request()
        """The smallest request of a job, which is that of the probe."""
        self._probe: Probe | None = None

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
        is_held = self._asking.is_full or not self._is_shown
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
        first = SubmittedTry(chain[0].attempt.path)
        key, attempt = chain[0].folder.path.name, first.path.name
        name = f"sft-{key}-{attempt}-{secrets.token_hex(4)}"
        submitted = Submitted(name, first.chain.absolute(), request, patience=self._patience)
        write_chain(self._needs.chain(chain, self._options, self._cluster.threads), first.chain)
        submitted.handles = [ChainHandle(job, submitted) for job in chain]
        folders = [job.folder.path for job in chain]
        submitted.wait_for(self._places[need] for need in self._needs.outside(folders) if need in self._places)
        self._places |= dict.fromkeys(folders, submitted)
        submitted.note(self._cluster)
        self._begin_probe(results_of(chain[0].folder))
        self._chains[submitted.name] = submitted
        try:
            self._hand_over(submitted, time.monotonic())
        except MachineError:
            submitted.forget()
            raise
        return submitted.handles

    def adopt(self, job: JobAttempt) -> ChainHandle | None:
        """The handle of a job that an earlier run handed to this cluster."""
        record = read(SubmittedTry(job.attempt.path).submission, Submission)
        if record is None or record.executor != self._cluster.name or not self._cluster.outlives_runner:
            return None
        known = self._chains.get(record.name)
        if known is None:
            try:
                found = record.id or self._cluster.find(record.name)
            except NoAnswer as error:
                self._chains = {}  # what was taken over so far goes on
                may = "stages of an earlier run may still be running there; run the same command when it does"
                raise MachineError(f"{self._cluster.name} does not answer ({error}), and {may}") from None
            if found is None:
                return None
            file = Path(os.path.abspath(job.attempt.path / record.chain))
            known = Submitted(record.name, file, Request(), found, patience=self._patience)
            self._chains[known.name] = known
        self._waiter.hear_signals()
        handle = ChainHandle(job, known)
        handle.hear()
        known.add(handle)
        self._places[job.folder.path] = known
        self._looked, self._knows_all, self._has_adopted = float("-inf"), False, True
        return handle

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

    @property
    def is_settled(self) -> bool:
        """Whether of every chain it is known that it waits, runs, has ended or was not taken."""
        refused = self._refused()
        is_there = all(chain.is_there or chain in refused for chain in self._chains.values())
        return is_there and (self._knows_all or not self._chains)

    def detach(self) -> Sequence[ChainHandle]:
        """Let go of the cluster, which goes on; `close` ends nothing then."""
        refused = self._refused()
        for chain in refused:
            chain.forget()
        self._chains = {}
        return [handle for chain in refused for handle in chain.left]

    def _refused(self) -> list[Submitted]:
        """The chains that the cluster has not taken, because it takes no more for now."""
        is_full = self._asking.is_full
        return [chain for chain in self._chains.values() if is_full and chain.id is None and not chain.was_tried]

    def close(self) -> None:
        """End everything that still runs."""
        running = [chain.id for chain in self._chains.values() if chain.id is not None and chain.left]
        if self._probe is not None:
            self._probe.close()
        if running:
            self._asking.ask(lambda: self._cluster.cancel(running))
        self._chains = {}
        self._cluster.close()
        self._waiter.close()

    @property
    def _is_shown(self) -> bool:
        """Whether the machines of the cluster are known to see the results folder."""
        if self._options.detach or self._has_adopted:
            return True  # whoever leaves does not wait for a queue, and a chain says itself what it does not see
        return self._probe is not None and self._probe.is_shown

    def _begin_probe(self, results: ResultsFolder) -> None:
        """Before the first chain, which waits for it, and is the only one until then."""
        if self._probe is None and not self._is_shown:
            self._probe = Probe(self._cluster, self._asking, results, self._patience, self._options.executor_options)
            if not self._probe.is_shown:
                self._probe.start(self._least, self._say)

    def _look(self, now: float) -> list[ChainHandle]:
        found: list[ChainHandle] = []
        if self._probe is not None:
            self._probe.look(now)
        if now >= self._looked + self._pause(now):
            self._ask_cluster(now)
        for chain in self._chains.values():
            if chain.id is None and now >= chain.try_at and chain.cancel_at > now:
                self._hand_over(chain, now)
        self._cancel([chain for chain in self._chains.values() if now >= chain.cancel_at], now)
        for chain in list(self._chains.values()):
            found += chain.ended(now)
            found += self._lost(chain, now)
            if not chain.left:
                del self._chains[chain.name]
        return found

    def _pause(self, now: float) -> float:
        """Seconds between two questions to the cluster: few while something starts or stops."""
        is_settled = not self._asking.is_silent and all(chain.is_settled(now) for chain in self._chains.values())
        return self._cluster.look_seconds if is_settled else SOON_SECONDS

    def _ask_cluster(self, now: float) -> None:
        self._looked = now
        handed = {chain.id: chain for chain in self._chains.values() if chain.id is not None}
        told = self._asking.ask(lambda: self._cluster.look(handed)) if handed else {}
        seen = {} if told is None else {identity: told.get(identity, Seen("ended")) for identity in handed}
        self._knows_all = self._knows_all or told is not None
        for identity in seen:
            chain = handed[identity]
            chain.seen = seen[identity]
            if chain.seen.standing != "ended":
                chain.gone_since = None
            elif chain.gone_since is None:
                chain.gone_since = now
            if chain.seen.needs_person and chain.seen.waits_for is not None:
                self._asking.tell_waits(chain.seen.waits_for)

    def _cancel(self, chains: Sequence[Submitted], now: float) -> None:
        """Have the cluster end chains; where it does not answer for long, they are left to what they were told."""
        for chain in chains:
            chain.cancel_at = now + SOON_SECONDS
            chain.cancelled_since = now if chain.cancelled_since is None else chain.cancelled_since
            chain.id = self._known_id(chain)
            is_unknown = chain.id is None and not self._asking.is_silent  # it was never handed over
            if is_unknown or (self._asking.is_silent and now >= chain.cancelled_since + self._patience):
                chain.gone_since = now - self._patience
        known = [chain.id for chain in chains if chain.id is not None]
        if known:
            self._asking.ask(lambda: self._cluster.cancel(known))

    def _lost(self, chain: Submitted, now: float) -> list[ChainHandle]:
        """Its jobs that have left no word though it has ended: the one that was running, and those after it."""
        left = chain.left
        if chain.gone_since is None or not left:
            return []
        seen = chain.seen or Seen("ended")
        if now < chain.gone_since + self._patience and not seen.is_explained:
            return []
        if chain.had_place(lambda: self._needs.are_there([one.job.folder.path for one in chain.handles])):
            left[0].finish(seen.outcome(LOST_CODE, chain.last_words(self._cluster.name)))
        for handle in chain.left:
            handle.finish(Outcome(LOST_CODE, None, MemorySeen(), was_begun=False))
        return left

    def _known_id(self, chain: Submitted) -> str | None:
        """What the cluster calls it, which may have to be found out."""
        return chain.id or self._asking.ask(lambda: self._cluster.find(chain.name))

    def _hand_over(self, chain: Submitted, now: float) -> None:
        """Submit a chain, unless an earlier try, whose answer was not heard, has done so."""
        if not self._is_shown:
            return
        chain.try_at = now + RESUBMIT_SECONDS
        if chain.was_tried:
            chain.id = self._known_id(chain)
            if chain.id is None and self._asking.is_silent:
                return
        request = chain.asked()
        if chain.id is None and request is not None:
            results = results_of(chain.handles[0].job.folder)
            file = seen_from_nodes(chain.file, results, self._options.executor_options)
            command = worker_command("--chain", str(file))
            log = SubmittedTry(file.parent).output
            others = any(other.id is not None and other.left for other in self._chains.values())
            chain.id = self._asking.submit(
                lambda: self._cluster.submit(chain.name, command, log, request, self._options.grace), others
            )
            chain.was_tried = chain.was_tried or self._asking.is_silent
        if chain.id is not None:
            chain.quick_until = now + QUICK_SECONDS
            with contextlib.suppress(OSError):  # it is found by its name
                chain.note(self._cluster)
