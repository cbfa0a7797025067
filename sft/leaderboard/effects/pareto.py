"""Pareto fronts: the groups that no other one beats on quality without costing more."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sft.leaderboard.costs import TOLERANCE, Costs
from sft.leaderboard.groups import Group
from sft.leaderboard.records import ParetoFront, ParetoPoint
from sft.leaderboard.settings import trains
from sft.wording import GIB


@dataclass(frozen=True)
class _Cost:
    name: str
    unit: str
    of: Callable[[Group, Costs], float | None]


def pareto_fronts(
    groups: Sequence[Group], costs: Mapping[str, Costs], metric: str, *, higher: bool
) -> tuple[ParetoFront, ...]:
    """The ranked groups of a board by each cost.

    Args:
        groups: of one board.
        costs: of the groups, by name.
        metric: by which it ranks.
        higher: whether more of it is better.
    """
    ranked = [(group, costs[group.name]) for group in groups if group.rank is not None and group.value is not None]
    # Of the GPU where any set-up used one, else of the process.
    memory = _GPU_MEMORY if any(own.peak_gpu_bytes is not None for _, own in ranked) else _MAIN_MEMORY
    any_trains = any(trains(group.runs[0]) for group, _ in ranked)
    kinds = (_TRAINING, _PREDICTIONS, *memory[: 1 + any_trains], _PARAMETERS)
    fronts = (_front(ranked, cost, metric, higher) for cost in kinds)
    return tuple(front for front in fronts if front.points)


def _front(groups: Sequence[tuple[Group, Costs]], cost: _Cost, metric: str, higher: bool) -> ParetoFront:
    found = [
        ParetoPoint(group.name, spent, group.value, on_front=False)
        for group, costs in groups
        if group.value is not None and (spent := cost.of(group, costs)) is not None
    ]
    return ParetoFront(cost.name, cost.unit, metric, tuple(_marked(found, higher)), TOLERANCE)


def _marked(points: Sequence[ParetoPoint], higher: bool) -> Iterator[ParetoPoint]:
    """The points, cheapest first, those on the front marked: no other one is better at a cost that counts as no
    higher, or as good at a lower one.
    """
    sign = 1.0 if higher else -1.0
    ordered = sorted(points, key=lambda point: (point.cost, -sign * point.value))
    costs = [point.cost for point in ordered]
    best = list(accumulate((sign * point.value for point in ordered), max))
    for point in ordered:
        n_lower = bisect_left(costs, (1 - TOLERANCE) * point.cost)
        n_no_higher = bisect_right(costs, point.cost / (1 - TOLERANCE))
        beats_lower = n_lower == 0 or sign * point.value > best[n_lower - 1]
        on_front = beats_lower and sign * point.value == best[n_no_higher - 1]
        yield ParetoPoint(point.group, point.cost, point.value, on_front=on_front)


def _memory(infer: Callable[[Costs], float | None], train: Callable[[Costs], float | None]) -> tuple[_Cost, _Cost]:
    """Peaks of inference, and of training, which is none where nothing is trained."""
    return (
        _Cost("peak memory of inference", "GiB", lambda _, costs: _gibibytes(infer(costs))),
        _Cost(
            "peak memory of training",
            "GiB",
            lambda group, costs: _gibibytes(train(costs)) if trains(group.runs[0]) else 0.0,
        ),
    )


def _gibibytes(size: float | None) -> float | None:
    return None if size is None else size / GIB


_TRAINING = _Cost(
    "seconds of training", "s", lambda group, costs: costs.train_seconds if trains(group.runs[0]) else 0.0
)
_PREDICTIONS = _Cost("seconds per 1,000 predictions", "s", lambda _, costs: costs.seconds_per_1000)
_GPU_MEMORY = _memory(lambda costs: costs.infer_peak_gpu_bytes, lambda costs: costs.train_peak_gpu_bytes)
_MAIN_MEMORY = _memory(lambda costs: costs.infer_peak_rss_bytes, lambda costs: costs.train_peak_rss_bytes)
_PARAMETERS = _Cost("trainable parameters", "parameters", lambda _, costs: costs.trainable_parameters)
