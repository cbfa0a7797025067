"""Which runs of a large board are sampled for its effects: sampling ten thousand would take minutes."""

from collections.abc import Iterable

MOST_RUNS = 250
"""So many runs are sampled for effects, curves and gains together, unless all are asked for."""


class RunBudget:
    """Takes whole effects, curves and groups while their runs together are few enough.

    The choice follows the order of the grid and how many runs each one has, and no result: intervals of the best
    ones alone would be too good, and their p would be corrected for too few.
    """

    def __init__(self, *, full: bool) -> None:
        self.most = None if full else MOST_RUNS
        self.runs: dict[str, None] = {}

    def takes(self, runs: Iterable[str]) -> bool:
        """Whether all of these runs are sampled; they then count."""
        more = {**self.runs, **dict.fromkeys(runs)}
        if self.most is not None and len(more) > self.most:
            return False
        self.runs = more
        return True
