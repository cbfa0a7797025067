"""Pareto fronts: the groups that no other one beats on quality without costing more."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sft.leaderboard.collect import ExperimentRecord, mean
from sft.leaderboard.groups import Group
from sft.leaderboard.records import ParetoFront, ParetoPoint
from sft.leaderboard.settings import trains
from sft.runs.records import MODEL_STAGES
from sft.wording import GIB


@dataclass(frozen=True)
class _Cost:
    name: str
    unit: str
    of: Callable[[ExperimentRecord], float | None]


def pareto_fronts(groups: Sequence[Group], metric: str, *, higher: bool) -> tuple[ParetoFront, ...]:
    """The ranked groups of a board by each cost.

    A stage that several experiments share counts in full for each of them: a cost is what a run would cost alone. A
    training that was resumed counts the seconds up to its checkpoint and those from there on.

    Args:
        groups: of one board.
        metric: by which it ranks.
        higher: whether more of it is better.
    """
    ranked = [group for group in groups if group.rank is not None]
    runs = [run for group in groups for run in group.runs]
    fronts = (_front(ranked, cost, metric, higher) for cost in (_SECONDS, _memory_cost(runs), _PARAMETERS))
    return tuple(front for front in fronts if front.points)


def _front(groups: Sequence[Group], cost: _Cost, metric: str, higher: bool) -> ParetoFront:
    found = []
    for group in groups:
        costs = [cost.of(run) for run in group.runs]
        spent = None if None in costs else mean(costs)
        if group.value is not None and spent is not None:
            found.append(ParetoPoint(group.name, spent, group.value, on_front=False))
    return ParetoFront(cost.name, cost.unit, metric, tuple(_marked(found, higher)))


def _marked(points: Sequence[ParetoPoint], higher: bool) -> Iterator[ParetoPoint]:
    """The points, cheapest first: on the front are the best of each cost that beat all cheaper ones."""
    sign = 1.0 if higher else -1.0
    best = float("-inf")
    ordered = sorted(points, key=lambda point: (point.cost, -sign * point.value))
    for _, alike in groupby(ordered, key=lambda point: point.cost):
        same_cost = list(alike)
        top = sign * same_cost[0].value
        for point in same_cost:
            is_top = sign * point.value == top > best
            yield ParetoPoint(point.group, point.cost, point.value, on_front=is_top)
        best = max(best, top)


def _seconds(run: ExperimentRecord) -> float | None:
    timing = run.part("timing")
    stages = MODEL_STAGES if trains(run) else ("infer",)
    seconds = [timing.get(stage) for stage in stages]
    known = [float(number) for number in seconds if isinstance(number, int | float)]
    return sum(known) if len(known) == len(stages) else None


def _parameters(run: ExperimentRecord) -> float | None:
    number = run.part("resources").get("trainable_parameters")
    if isinstance(number, int | float):
        return float(number)
    return None if trains(run) else 0.0


def _memory_cost(runs: Sequence[ExperimentRecord]) -> _Cost:
    """Of the GPU where any run of the board used one, else of the process."""
    on_gpu = any(run.part("resources").get("peak_gpu_bytes") is not None for run in runs)
    key = "peak_gpu_bytes" if on_gpu else "peak_rss_bytes"

    def gibibytes(run: ExperimentRecord) -> float | None:
        size = run.part("resources").get(key)
        return size / GIB if isinstance(size, int | float) else None

    return _Cost("peak memory", "GiB", gibibytes)


_SECONDS = _Cost("seconds", "s", _seconds)
_PARAMETERS = _Cost("trainable parameters", "parameters", _parameters)
