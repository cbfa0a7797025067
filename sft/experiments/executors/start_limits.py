"""How long a process may take until it has its imports done, learnt from the first that did."""

from typing import Literal

StartedBy = Literal["fresh", "fork", "server"]

FIRST_SECONDS = 1200.0
"""For what nothing is known of: libraries that come cold from a network disk take minutes."""
LEAST_FRESH_SECONDS = 120.0
LEAST_FORK_SECONDS = 20.0
FACTOR = 5.0
"""Starts that come later may take so many times what the first took: they find its files cached, but more company."""


class StartLimits:
    """Seconds until a process writes its first line; those that nobody wrote are learnt."""

    def __init__(self, fresh: float | None = None, fork: float | None = None) -> None:
        """Know of no start.

        Args:
            fresh: of a new interpreter, and of the server of warm starts; None learns it.
            fork: of a process that the server forks; None learns it.
        """
        self.fresh = fresh
        self.fork = fork
        self._first: dict[tuple[StartedBy, str], float] = {}

    def seconds(self, by: StartedBy, kind: str = "") -> float:
        """The limit of a start.

        Args:
            by: how the process is started.
            kind: jobs of a kind import the same.
        """
        written = self.fork if by == "fork" else self.fresh
        if written is not None:
            return written
        if by == "fork":
            # What the server did not read comes from the same disk.
            known = max(self._first.get((by, kind), 0.0), self._first.get(("server", ""), 0.0))
            return max(LEAST_FORK_SECONDS, FACTOR * known)
        first = self._first.get((by, kind))
        return FIRST_SECONDS if first is None else max(LEAST_FRESH_SECONDS, FACTOR * first)

    def took(self, by: StartedBy, seconds: float, kind: str = "") -> None:
        """Take note of a start; only the first of its kind counts."""
        self._first.setdefault((by, kind), seconds)
