"""A job of a chain on a cluster, as its files and the cluster tell of it."""

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sft.experiments.executors.chains.asking import Asking
from sft.experiments.executors.chains.cluster import Cluster, Seen
from sft.experiments.executors.chains.ends import outcome_of, seen_from
from sft.experiments.executors.protocol import JobAttempt, Lease, Outcome, Placement, Request
from sft.processes.signals import STOPPED_EXIT_CODE
from sft.runs.attempts import last_line
from sft.runs.chains import Begun, Ended, Orders, Submission, SubmittedTry, read, read_chain
from sft.runs.claims.chains import taken_by
from sft.runs.exit_codes import INCOMPLETE, UNSEEN
from sft.runs.file_systems import look_anew
from sft.runs.records import ErrorRecord, UnderWay, write_record

LOST_CODE = -int(signal.SIGKILL)
ESCALATION_SECONDS = 15.0
"""After the grace of a stop, until the cluster is asked to end the chain: a chain looks for orders once a second, and
network disks show files late.
"""
RELIST_SECONDS = 5.0
"""Between two listings of the folder of a job that has its place: a network disk remembers for up to a minute that a
file is not there, unless its folder is opened anew, and the end would be seen so late.
"""


@dataclass
class Submitted:
    """A chain that was handed to a cluster."""

    name: str
    file: Path
    request: Request
    id: str | None = None
    """None while nobody knows whether it was submitted."""
    seen: Seen | None = None
    """What the cluster said last; None before it said anything."""
    gone_since: float | None = None
    """When the cluster first said that it has ended, or did not know it."""
    try_at: float = 0.0
    """When it is submitted again, where that was not answered."""
    was_tried: bool = False
    """Whether it may have been submitted though nobody knows its id."""
    submitted: float = field(default_factory=time.time)
    """When it was made, in seconds since the epoch."""
    handles: list["ChainHandle"] = field(default_factory=list)
    after: tuple["Submitted", ...] = ()
    """Chains with jobs that it needs, which had not ended when it was made."""
    cancel_at: float = float("inf")
    """When the cluster is asked to end it."""
    cancelled_since: float | None = None
    """When it was first asked to."""
    patience: float = 0.0
    """Seconds for which files, and the cluster's word on an end that it asked for, are waited for."""
    quick_until: float = 0.0
    """Until when its start is looked for often."""

    def add(self, handle: "ChainHandle") -> None:
        """Take in a job of it; whoever takes a chain over does so in any order."""
        places = self._places
        self.handles.append(handle)
        self.handles.sort(key=lambda one: places.get(one.job.folder.path.name, len(places)))

    @cached_property
    def _places(self) -> dict[str, int]:
        """The place of each job in the chain, by the name of its folder; none where that cannot be read."""
        try:
            return {link.folder.name: place for place, link in enumerate(read_chain(self.file).links)}
        except (OSError, ValueError):
            return {}

    def is_settled(self, now: float) -> bool:
        """Whether no change of it is expected soon."""
        is_known = self.has_begun or now >= self.quick_until
        return is_known and self.cancel_at == float("inf") and not any(one.wants_word for one in self.left)

    def ended(self, now: float) -> list["ChainHandle"]:
        """Its jobs that are found to have ended; they end in order."""
        found = []
        for handle in self.left:
            if not handle.look(now):
                break
            found.append(handle)
        if self.gone_since is not None and self.left:
            self._look_after_other()
        if self.gone_since is not None and self.seen is not None and self.seen.error is not None and self.left:
            self.seen = seen_from(self.left[0].job.folder, self.seen)
        return found

    def _look_after_other(self) -> None:
        """Go by the submission that runs it, where the cluster had taken it twice and the one that was known left."""
        other = taken_by(SubmittedTry(self.file.parent))
        if self.id is not None and other not in (None, self.id):
            self.id, self.seen, self.gone_since = other, None, None

    def last_words(self, cluster: str) -> ErrorRecord:
        """What may be known of an end without a word of its own.

        Args:
            cluster: its name.
        """
        seen = self.seen or Seen("ended")
        on = f" on {seen.host}" if seen.host else ""
        said = last_line(SubmittedTry(self.file.parent).output)
        if seen.code == UNSEEN:
            what = said or f"a node cannot read {self.file}"
            return ErrorRecord(
                "refused", f"the place that {cluster} gave it{on} does not see the results folder: {what}"
            )
        told = f"; the last line of chain.log: {said}" if said else ""
        if seen.code in (None, 0, STOPPED_EXIT_CODE, INCOMPLETE):
            return ErrorRecord("node_lost", f"its place on {cluster} was lost{on}{told}")
        return ErrorRecord("crash", f"its chain ended{on} with code {seen.code} and left no word{told}")

    def note(self, cluster: Cluster) -> None:
        """Write for each of its jobs to whom it was handed over, or is about to be."""
        for handle in self.handles:
            folder = handle.job.attempt.path.absolute()
            file = os.path.relpath(self.file, folder)
            record = Submission(cluster.name, self.name, file, self.id, cluster.outlives_runner, self.submitted)
            write_record(SubmittedTry(folder).submission, record)

    def wait_for(self, chains: Iterable["Submitted"]) -> None:
        """Have it start when chains have ended well; those that have ended are not waited for."""
        self.after = tuple({one.name: one for one in chains if one.left}.values())

    def asked(self) -> Request | None:
        """What its place must have; None while it is not known what the cluster calls a chain that it waits for."""
        ids = [one.id for one in self.after if one.left]
        known = tuple(one for one in ids if one is not None)
        return dataclasses.replace(self.request, after=known) if len(known) == len(ids) else None

    def had_place(self, has_needs: Callable[[], bool]) -> bool:
        """Whether it had its place, or might have, now that it has ended; not where it waited for others in vain.

        Args:
            has_needs: whether all that it waited for has its results.
        """
        seen = self.seen or Seen("ended")
        return self.has_begun or seen.error is not None or (not seen.is_hopeless and has_needs())

    def identify(self, cluster: Cluster, asking: Asking) -> None:
        """Find out what the cluster calls it, where nobody knows; it may know none of its name, or not answer."""
        self.id = self.id or asking.ask(lambda: cluster.find(self.name))

    def forget(self) -> None:
        """It was refused: nobody is to look for it."""
        for handle in self.handles:
            SubmittedTry(handle.job.attempt.path).submission.unlink(missing_ok=True)

    @property
    def is_there(self) -> bool:
        """Whether it waits or runs for certain, or has ended and nothing of it is open."""
        is_known = self.id is not None and self.gone_since is None and self.cancel_at == float("inf")
        return not self.left or is_known

    @property
    def left(self) -> list["ChainHandle"]:
        """Its jobs that have not ended, in order."""
        return [handle for handle in self.handles if handle.outcome() is None]

    @property
    def has_begun(self) -> bool:
        """Whether a process of it has been heard of."""
        return any(handle.begun is not None or handle.outcome() is not None for handle in self.handles)


class ChainHandle:
    """A job of a chain."""

    def __init__(self, job: JobAttempt, chain: Submitted) -> None:
        self.job = job
        self.chain = chain
        self.begun: Begun | None = None
        self._outcome: Outcome | None = None
        self._orders = Orders()
        self._files = SubmittedTry(job.attempt.path)
        self._ended, self._begun = os.fspath(self._files.ended), os.fspath(self._files.begun)
        self._told_at: float | None = None
        """When its end was first read."""
        self._relist_at = float("-inf")
        self.wants_word = False
        """Whether the cluster has yet to say why it asked the job to end."""

    @property
    def standing(self) -> UnderWay:
        """By its own word, else by what the cluster says of its chain."""
        if self.begun is not None:
            return "running"
        is_next = self.chain.left[:1] == [self]
        seen = self.chain.seen
        return "starting" if is_next and seen is not None and seen.standing == "running" else "queued"

    @property
    def placement(self) -> Placement:
        """Where it runs, as it tells itself."""
        begun = self.begun
        if begun is None:
            return Placement("", Lease(), None, "fresh")
        lease = Lease(threads=begun.threads, gpus=None if begun.gpus is None else tuple(begun.gpus))
        return Placement(begun.host, lease, begun.pid, "warm" if begun.start == "warm" else "fresh")

    def outcome(self) -> Outcome | None:
        """How it ended; None while it has not."""
        return self._outcome

    def stop(self, grace: float) -> None:
        """Ask it to end, by a file; the cluster ends the chain where it does not."""
        if self._outcome is not None:
            return
        self._order(Orders(grace, self._orders.stacks))
        if all(handle.is_stopped for handle in self.chain.left):
            # A network disk may show late that it has begun: what has its place may have work to save.
            seen = self.chain.seen
            is_there = self.chain.has_begun or (seen is not None and seen.standing == "running")
            wait = grace + ESCALATION_SECONDS if is_there else 0.0
            self.chain.cancel_at = min(self.chain.cancel_at, time.monotonic() + wait)

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to end."""
        return self._orders.grace is not None

    def dump_stacks(self) -> None:
        """Have the worker write the stacks of all its threads to its stderr."""
        self._order(Orders(self._orders.grace, self._orders.stacks + 1))

    def _order(self, orders: Orders) -> None:
        self._orders = orders
        write_record(self._files.orders, orders)

    def look(self, now: float) -> bool:
        """Read what it has told; whether it has ended."""
        seen = self.chain.seen
        has_place = self.begun is not None or (seen is not None and seen.standing == "running")
        if self.chain.gone_since is not None or (has_place and now >= self._relist_at):
            self._relist_at = now + RELIST_SECONDS
            look_anew(self._files.path)
        ended = read(self._files.ended, Ended) if os.path.exists(self._ended) else None
        if ended is None:
            self.hear()
            return False
        self._told_at = now if self._told_at is None else self._told_at
        if now < self._told_at + self.chain.patience and self._is_half_told(ended):
            return False
        self.wants_word = False
        self.finish(outcome_of(ended, self.chain.seen, self.job.folder))
        return True

    def _is_half_told(self, ended: Ended) -> bool:
        """Whether more is to come: the cluster's word on why it asked it to end, or results that a disk shows late."""
        self.wants_word = ended.stopped_by is not None and not self.is_stopped and self.chain.gone_since is None
        is_whole = ended.code != 0 or not ended.was_begun or self.job.folder.manifest.exists()
        if not is_whole:
            look_anew(self.job.folder.path)
        return self.wants_word or not is_whole

    def hear(self) -> None:
        """Read where it runs, as soon as it has told."""
        if (self.begun is None or self.begun.pid is None) and os.path.exists(self._begun):
            self.begun = read(self._files.begun, Begun) or self.begun

    def finish(self, outcome: Outcome) -> None:
        """Nothing more comes of it."""
        self.hear()
        self._outcome = outcome
