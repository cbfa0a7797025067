"""Looks after chains that were handed over: what the cluster says of them, their ends, and those it is to end."""

from collections.abc import Collection

from sft.experiments.executors.chains.asking import Asking
from sft.experiments.executors.chains.cluster import Cluster, Seen
from sft.experiments.executors.chains.handle import LOST_CODE, ChainHandle, Submitted
from sft.experiments.executors.chains.needs import Needs
from sft.experiments.executors.protocol import MemorySeen, Outcome

SOON_SECONDS = 2.0
"""Between two questions to the cluster while something starts or stops."""


class Supervisor:
    """Asks a cluster about chains, from time to time."""

    def __init__(self, cluster: Cluster, asking: Asking, patience: float) -> None:
        """
        Args:
            cluster: where they run.
            asking: how it answers.
            patience: seconds in which the last files of an ended chain are waited for.
        """
        self._cluster = cluster
        self._asking = asking
        self._patience = patience
        self._looked = float("-inf")
        """When the cluster was last asked."""
        self.knows_all = True
        """Whether the cluster has answered since chains of earlier runs were taken over."""

    def took_over(self) -> None:
        """A chain of an earlier run is there, of which nothing is known yet."""
        self._looked, self.knows_all = float("-inf"), False

    def look(self, chains: Collection[Submitted], now: float) -> None:
        """Ask the cluster how they stand, where it is time for that."""
        if now >= self._looked + self._pause(chains, now):
            self._looked = now
            self._ask(chains, now)

    def _pause(self, chains: Collection[Submitted], now: float) -> float:
        """Seconds between two questions to the cluster: few while something starts or stops."""
        is_settled = not self._asking.is_silent and all(chain.is_settled(now) for chain in chains)
        return self._cluster.look_seconds if is_settled else SOON_SECONDS

    def _ask(self, chains: Collection[Submitted], now: float) -> None:
        handed = {chain.id: chain for chain in chains if chain.id is not None}
        told = self._asking.ask(lambda: self._cluster.look(handed)) if handed else {}
        if told is None:
            return
        self.knows_all = True
        for identity, chain in handed.items():
            chain.seen = told.get(identity, Seen("ended"))
            if chain.seen.standing != "ended":
                chain.gone_since = None
            elif chain.gone_since is None:
                chain.gone_since = now
            if chain.seen.needs_person and chain.seen.waits_for is not None:
                self._asking.tell_waits(chain.seen.waits_for)

    def cancel_due(self, chains: Collection[Submitted], now: float) -> None:
        """Have the cluster end those that did not end when told to.

        Where it does not answer for long, they are left to what they were told.
        """
        due = [chain for chain in chains if now >= chain.cancel_at]
        for chain in due:
            chain.cancel_at = now + SOON_SECONDS
            chain.cancelled_since = now if chain.cancelled_since is None else chain.cancelled_since
            chain.identify(self._cluster, self._asking)
            is_unknown = chain.id is None and not self._asking.is_silent  # it was never handed over
            if is_unknown or (self._asking.is_silent and now >= chain.cancelled_since + self._patience):
                chain.gone_since = now - self._patience
        self._cancel(due)

    def cancel_all(self, chains: Collection[Submitted]) -> None:
        """Have the cluster end all that was handed over and is not known to have ended."""
        self._cancel([chain for chain in chains if chain.left])

    def _cancel(self, chains: Collection[Submitted]) -> None:
        known = [chain.id for chain in chains if chain.id is not None]
        if known:
            self._asking.ask(lambda: self._cluster.cancel(known))

    def ended(self, chains: Collection[Submitted], needs: Needs, now: float) -> list[ChainHandle]:
        """Their jobs that are found to have ended, or to be lost.

        Args:
            chains: the chains.
            needs: what the jobs of the run need.
            now: the time.
        """
        found: list[ChainHandle] = []
        for chain in chains:
            found += chain.ended(now)
            found += self._lost(chain, needs, now)
        return found

    def _lost(self, chain: Submitted, needs: Needs, now: float) -> list[ChainHandle]:
        """Its jobs that have left no word though it has ended: the one that was running, and those after it."""
        left = chain.left
        if chain.gone_since is None or not left:
            return []
        seen = chain.seen or Seen("ended")
        if now < chain.gone_since + self._patience and not seen.is_explained:
            return []
        if chain.had_place(lambda: needs.are_there([one.job.folder.path for one in chain.handles])):
            left[0].finish(seen.outcome(LOST_CODE, chain.last_words(self._cluster.name)))
        for handle in chain.left:
            handle.finish(Outcome(LOST_CODE, None, MemorySeen(), was_begun=False))
        return left
