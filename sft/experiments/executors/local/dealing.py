"""Which of the jobs that may start gets which part of the machine; pure, the runner starts them."""

from collections.abc import Callable, Collection, Iterator, Sequence

from sft.experiments.executors.local.leases import Grant, Leases, Need
from sft.pipeline.jobs import PlannedJob


class Dealing:
    """Gives leases by priority, and keeps GPUs for a job that needs several.

    Such a job gets all or none, and as single GPUs become free one by one it would wait until nothing else is left.
    So GPUs are kept for it from when it is next in line: those that become free first, until it has them all. Only one
    job has GPUs kept for it, until it starts, whoever comes before it meanwhile.
    """

    def __init__(self, leases: Leases, need_of: Callable[[PlannedJob], Need]) -> None:
        self._leases = leases
        self._need_of = need_of
        self._waiting: PlannedJob | None = None
        """Whom GPUs are kept for."""
        self._seen: tuple[Sequence[PlannedJob], frozenset[str], int] | None = None
        """What the last round found; where nothing is different, thousands need not be looked at again."""

    def round(self, ready: Sequence[PlannedJob], resting: Collection[str]) -> Iterator[tuple[PlannedJob, Grant]]:
        """The jobs that can start now, each with its lease, which is taken when it is given.

        Args:
            ready: the jobs that may start, first come first.
            resting: GPUs that may not be leased yet.
        """
        found = (tuple(ready), frozenset(resting), self._leases.changes)
        if found == self._seen:
            return
        kept: frozenset[str] = frozenset()
        refused: set[Need] = set()
        for job in self._in_turn(ready):
            need = self._need_of(job)
            grant = None if need in refused else self._leases.take(need, kept.union(resting))
            if grant is not None:
                yield job, grant
                if self._leases.is_full:
                    return
                continue
            is_next = self._waiting is None and not any(other.gpus for other in refused)
            refused.add(need)
            if is_next and need.gpus > 1 and not need.alone:
                self._waiting = job
                kept = self._leases.kept_for(need, resting)
        self._seen = found

    def _in_turn(self, ready: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
        """The one that waits, then all others."""
        first, self._waiting = self._waiting, None
        is_there = first is not None and any(job is first for job in ready)
        if first is not None and is_there:
            yield first
        yield from (job for job in ready if not is_there or job is not first)
