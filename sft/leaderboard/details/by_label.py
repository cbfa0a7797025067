"""How well the best set-up of a board does on each label."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sft.leaderboard.collect import finite_number
from sft.leaderboard.groups import Group


@dataclass(frozen=True)
class LabelResult:
    """One label on the test rows of a set-up, each number a mean over its runs.

    Attributes:
        label: gold value.
        precision: None where a run has none.
        recall: likewise.
        f1: likewise.
        support: rows whose gold has the label.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class LabelResults:
    """A set-up by label.

    Attributes:
        group: name of the set-up.
        n: its runs.
        labels: in the order of the label set.
    """

    group: str
    n: int
    labels: tuple[LabelResult, ...]


def by_label(group: Group | None) -> LabelResults | None:
    """The numbers of each label; None where there are no labels, or a run does not have the numbers of each.

    Args:
        group: of a board; None: there is none.
    """
    if group is None:
        return None
    runs = [run.part("details").get("per_label") for run in group.runs]
    known = [numbers for numbers in runs if isinstance(numbers, Mapping) and numbers]
    if not known or len(known) != len(runs) or any(own.keys() != known[0].keys() for own in known):
        return None
    labels = tuple(_label(label, [own[label] for own in known]) for label in known[0])
    return LabelResults(group.name, len(runs), labels)


def _label(label: str, runs: list[Mapping[str, Any]]) -> LabelResult:
    """The means over runs of the numbers of one label."""
    precision, recall, f1 = (_mean([run.get(name) for run in runs]) for name in ("precision", "recall", "f1"))
    return LabelResult(label, precision, recall, f1, int(runs[0].get("support") or 0))


def _mean(values: list[Any]) -> float | None:
    """The mean of the numbers; None where one of the values is none."""
    numbers = [number for value in values if (number := finite_number(value)) is not None]
    return fmean(numbers) if len(numbers) == len(values) else None
