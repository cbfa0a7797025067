"""Which of the jobs that may start get a part of the machine; pure, the executor starts them."""

import operator
from collections.abc import Callable, Collection, Iterator, Sequence

from sft.experiments.executors.local.leases import Leases
from sft.experiments.executors.protocol import Item, Request


class Dealing:
    """Finds who may take a lease, by priority, and keeps GPUs for a job that needs several.

    Such a job gets all or none, and as single GPUs become free one by one it would wait until nothing else is left.
    So GPUs are kept for it from when it is next in line: those that become free first, until it has them all. Only one
    job has GPUs kept for it, until it starts, whoever comes before it meanwhile.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._waiting: object | None = None
        """Whom GPUs are kept for."""
        self._seen: tuple[Sequence[object], frozenset[str], int] | None = None
        """What a round found that had nothing for anybody; where nothing is different, the next has not either."""
        self.blocked: frozenset[str] = frozenset()
        """The GPUs that the job which was given last may not take."""

    def round(
        self, ready: Sequence[Item], request_of: Callable[[Item], Request], resting: Collection[str]
    ) -> Iterator[Item]:
        """The jobs that can start now; each takes its lease before the next is asked for, or never.

        Args:
            ready: the jobs that may start, first come first; what starts leaves it. It is not copied: thousands may
                wait, and mostly the first one takes what has become free.
            request_of: what each asks for.
            resting: GPUs that may not be leased yet.
        """
        changes = self._leases.changes
        if self._is_as_seen(ready, resting):
            return
        kept: frozenset[str] = frozenset()
        refused: set[Request] = set()
        for job in self._in_turn(ready):
            request = request_of(job)
            self.blocked = kept.union(resting)
            if request not in refused and self._leases.fits(request, self.blocked):
                yield job
                if self._leases.is_full:
                    return
                continue
            is_next = self._waiting is None and not any(other.gpus for other in refused)
            refused.add(request)
            if is_next and request.gpus > 1 and not request.alone:
                self._waiting = job
                kept = self._leases.kept_for(request, resting)
        if self._leases.changes == changes:
            self._seen = (tuple(ready), frozenset(resting), changes)

    def _is_as_seen(self, ready: Sequence[object], resting: Collection[str]) -> bool:
        if self._seen is None or self._seen[1:] != (frozenset(resting), self._leases.changes):
            return False
        return len(self._seen[0]) == len(ready) and all(map(operator.is_, self._seen[0], ready))

    def _in_turn(self, ready: Sequence[Item]) -> Iterator[Item]:
        """The one that waits, then all others."""
        first, self._waiting = self._waiting, None
        at = None if first is None else next((number for number, job in enumerate(ready) if job is first), None)
        if at is not None:
            yield ready[at]
        place = 0
        while place < len(ready):
            job = ready[place]
            if at is None or job is not first:
                yield job
            if place < len(ready) and ready[place] is job:
                place += 1
