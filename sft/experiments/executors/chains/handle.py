"""A job of a chain on a cluster, as its files and the cluster tell of it."""

import contextlib
import dataclasses
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.protocol import JobAttempt, Lease, MemorySeen, Outcome, Placement, Request
from sft.runs.chains import Begun, Ended, Orders, SubmittedTry, read
from sft.runs.records import UnderWay, write_record

LOST_CODE = -int(signal.SIGKILL)
ESCALATION_SECONDS = 15.0
"""After the grace of a stop, until the cluster is asked to end the chain: a chain looks for orders once a second, and
network disks show files late.
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
    handles: list["ChainHandle"] = field(default_factory=list)
    cancel_at: float = float("inf")
    """When the cluster is asked to end it."""

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
            wait = grace + ESCALATION_SECONDS if self.chain.has_begun else 0.0
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

    def look(self) -> bool:
        """Read what it has told; whether it has ended."""
        if self.chain.gone_since is not None:
            with contextlib.suppress(OSError):  # a network disk looks anew for files in a folder that is listed
                os.listdir(self._files.path)
        ended = read(self._files.ended, Ended)
        if ended is not None:
            self.finish(_outcome(ended, self.chain.seen))
        else:
            self.hear()
        return ended is not None

    def hear(self) -> None:
        """Read where it runs, as soon as it has told."""
        if self.begun is None or self.begun.pid is None:
            self.begun = read(self._files.begun, Begun) or self.begun

    def finish(self, outcome: Outcome) -> None:
        """Nothing more comes of it."""
        self.hear()
        self._outcome = outcome


def _outcome(ended: Ended, seen: Seen | None) -> Outcome:
    """What a job said at its end, and where the cluster had it ended, what the cluster says of that."""
    memory = MemorySeen(ended.peak_bytes, ended.limit_bytes, ended.oom_kills)
    told = Outcome(ended.code, ended.reason, memory, ended.seconds, was_begun=ended.was_begun)
    if ended.stopped_by is None or seen is None or seen.error is None:
        return told
    return dataclasses.replace(told, error=seen.error, ended_as=seen.ended_as)
