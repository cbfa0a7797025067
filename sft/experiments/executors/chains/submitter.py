"""Hands chains over to a cluster: each once, and none before its machines are known to see the results folder."""

import contextlib
import os
import secrets
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from sft.experiments.executors.chains.asking import Asking
from sft.experiments.executors.chains.cluster import Cluster
from sft.experiments.executors.chains.handle import ChainHandle, Submitted
from sft.experiments.executors.chains.needs import Needs
from sft.experiments.executors.chains.options import seen_from_nodes
from sft.experiments.executors.chains.probe import Probe
from sft.experiments.executors.guarded_process import worker_command
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import JobAttempt, Request
from sft.runs.chains import Submission, SubmittedTry, write_chain
from sft.runs.files import ResultsFolder, results_of

QUICK_SECONDS = 60.0
"""After a chain was handed over, in which its start is looked for often; a queue may take days."""
RESUBMIT_SECONDS = 10.0


class Submitter:
    """Knows what was submitted, by which name, and whether that was answered."""

    def __init__(
        self,
        cluster: Cluster,
        asking: Asking,
        options: ExecutorOptions,
        say: Callable[[str], None],
        patience: float,
    ) -> None:
        """
        Args:
            cluster: where chains run.
            asking: how it answers.
            options: how their processes are started and stopped.
            say: called with a line for the user.
            patience: seconds in which the last files of an ended chain are waited for.
        """
        self._cluster = cluster
        self._asking = asking
        self._options = options
        self._say = say
        self._patience = patience
        self._places: dict[Path, Submitted] = {}
        """The folder of a job -> the chain in which it was last submitted."""
        self._has_adopted = False
        """Whether chains of earlier runs were taken over."""
        self._probe: Probe | None = None

    def prepare(self, tries: Sequence[JobAttempt], request: Request, needs: Needs) -> Submitted:
        """Write what is to run where, under a name that no other submission has.

        Args:
            tries: the jobs of the chain in their order.
            request: what its place must have.
            needs: what the jobs of the run need.
        """
        first = SubmittedTry(tries[0].attempt.path)
        key, attempt = tries[0].folder.path.name, first.path.name
        name = f"sft-{key}-{attempt}-{secrets.token_hex(4)}"
        chain = Submitted(name, first.chain.absolute(), request, patience=self._patience)
        write_chain(needs.chain(tries, self._options, self._cluster.threads), first.chain)
        chain.handles = [ChainHandle(job, chain) for job in tries]
        folders = [job.folder.path for job in tries]
        chain.wait_for(self._places[need] for need in needs.outside(folders) if need in self._places)
        self._places |= dict.fromkeys(folders, chain)
        chain.note(self._cluster)
        return chain

    def find(self, record: Submission, attempt: Path) -> Submitted | None:
        """The chain that an earlier run has submitted; None where the cluster knows none of its name.

        Args:
            record: what that run wrote of it.
            attempt: the folder where that stands.

        Raises:
            NoAnswer: the cluster does not say.
        """
        identity = record.id or self._cluster.find(record.name)
        if identity is None:
            return None
        file = Path(os.path.abspath(attempt / record.chain))
        return Submitted(record.name, file, Request(), identity, patience=self._patience)

    def take_over(self, job: JobAttempt, chain: Submitted) -> ChainHandle:
        """The handle of a job of a chain that was found."""
        handle = ChainHandle(job, chain)
        handle.hear()
        chain.add(handle)
        self._places[job.folder.path] = chain
        self._has_adopted = True
        return handle

    @property
    def is_shown(self) -> bool:
        """Whether the machines of the cluster are known to see the results folder."""
        if self._options.detach or self._has_adopted:
            return True  # whoever leaves does not wait for a queue, and a chain says itself what it does not see
        return self._probe is not None and self._probe.is_shown

    def begin_probe(self, results: ResultsFolder, least: Request) -> None:
        """Before the first chain, which waits for it, and is the only one until then.

        Args:
            results: the folder that is to be seen.
            least: the smallest request of a job, which is that of the probe.
        """
        if self._probe is None and not self.is_shown:
            self._probe = Probe(self._cluster, self._asking, results, self._patience, self._options.executor_options)
            if not self._probe.is_shown:
                self._probe.start(least, self._say)

    def look_at_probe(self, now: float) -> None:
        """Take its next step.

        Raises:
            MachineError: a machine does not see the folder, or cannot run anything.
        """
        if self._probe is not None:
            self._probe.look(now)

    def submit_due(self, chains: Collection[Submitted], now: float) -> None:
        """Hand over what nobody has an id of, when its turn has come again."""
        for chain in chains:
            if chain.id is None and now >= chain.try_at and chain.cancel_at > now:
                self.submit(chain, chains, now)

    def submit(self, chain: Submitted, chains: Collection[Submitted], now: float) -> None:
        """Hand a chain over, unless an earlier try, whose answer was not heard, has done so.

        Args:
            chain: the chain; without an answer it keeps no id, and is handed over later.
            chains: all of this run.
            now: the time.

        Raises:
            MachineError: it was refused.
        """
        if not self.is_shown:
            return
        chain.try_at = now + RESUBMIT_SECONDS
        if chain.was_tried:
            chain.identify(self._cluster, self._asking)
            if chain.id is None and self._asking.is_silent:
                return
        request = chain.asked()
        if chain.id is None and request is not None:
            others = any(other.id is not None and other.left for other in chains)
            chain.id = self._asking.submit(lambda: self._submit(chain, request), others)
            chain.was_tried = chain.was_tried or self._asking.is_silent
        if chain.id is not None:
            chain.quick_until = now + QUICK_SECONDS
            with contextlib.suppress(OSError):  # it is found by its name
                chain.note(self._cluster)

    def _submit(self, chain: Submitted, request: Request) -> str:
        results = results_of(chain.handles[0].job.folder)
        file = seen_from_nodes(chain.file, results, self._options.executor_options)
        log = SubmittedTry(file.parent).output
        command = worker_command("--chain", str(file))
        return self._cluster.submit(chain.name, command, log, request, self._options.grace)

    def refused(self, chains: Collection[Submitted]) -> list[Submitted]:
        """Those that the cluster has not taken, because it takes no more for now."""
        is_full = self._asking.is_full
        return [chain for chain in chains if is_full and chain.id is None and not chain.was_tried]

    def close(self) -> None:
        """End the probe where it waits or runs."""
        if self._probe is not None:
            self._probe.close()
