"""The leading set-ups of a board on slices of its test rows: `evaluation.slices`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.label_sums import over_labels_there
from sft.evaluation.metrics.row_sums import RowSums
from sft.evaluation.recomputing import run_rows
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import EvaluatedRows
from sft.evaluation.selection import step_of
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.gathering import seed_of_all
from sft.leaderboard.groups import Group, leading_groups
from sft.leaderboard.records import Interval, SeedKey
from sft.leaderboard.statistics.comparer import Comparer, Scale
from sft.leaderboard.statistics.run_samples import sampled
from sft.leaderboard.statistics.seed_clusters import ALONE, Difference
from sft.runs.files import JobFolder

FEWEST_ROWS = 10
"""A slice of fewer rows is never called the worst: its number is one of chance."""


@dataclass(frozen=True)
class SliceResult:
    """A set-up on the rows of one slice.

    Attributes:
        value: what the slice is called.
        n_rows: test rows.
        n_labels: labels that their gold has; None in generation.
        result: the ranking metric, mean over runs; a mean over labels is over those labels alone.
        interval: 95 %, of the result.
        covers: the sources of chance that the interval is over.
    """

    value: str
    n_rows: int
    n_labels: int | None
    result: float
    interval: Interval
    covers: str


@dataclass(frozen=True)
class SlicedResult:
    """A set-up on the slices of one column.

    Attributes:
        group: name of the set-up.
        column: of the data.
        metric: the ranking metric, on test rows.
        whole: the same on all test rows.
        slices: those that have rows, the worst first.
        worst: the worst of those that have `FEWEST_ROWS` rows; None where there is but one slice.
        is_below: whether even the better end of the worst slice's interval is worse than the whole.
    """

    group: str
    column: str
    metric: str
    whole: float
    slices: tuple[SliceResult, ...]
    worst: SliceResult | None
    is_below: bool


@dataclass(frozen=True)
class _SlicedRun:
    """A run with its rows, and what the slices of each column are called."""

    run: ExperimentRecord
    rows: EvaluatedRows
    names: Mapping[str, tuple[str, ...]]

    def is_as(self, other: "_SlicedRun", column: str) -> bool:
        """Whether both have the same rows in the same slices of a column."""
        same = column in self.names and self.names[column] == other.names[column]
        return same and np.array_equal(self.rows.slices[column], other.rows.slices[column])


_SlicedGroup = tuple[Group, Sequence[_SlicedRun]]


def sliced_results(groups: Sequence[Group], metric: str, scale: Scale) -> tuple[SlicedResult, ...]:
    """The leading set-ups on slices, the best set-up first; one that is not sliced as the first of them is left out.

    Args:
        groups: of one board, best first, with their marks.
        metric: the ranking metric, on test rows.
        scale: of the metric.
    """
    known: list[_SlicedGroup] = []
    for group in leading_groups(groups):
        runs = [one for run in group.runs if (one := _sliced_run(run, metric)) is not None]
        if len(runs) == len(group.runs):
            known.append((group, runs))
    found: list[SlicedResult] = []
    for column in known[0][1][0].names if known else ():
        first = known[0][1][0]
        alike = [(group, runs) for group, runs in known if all(run.is_as(first, column) for run in runs)]
        found += _of_column(alike, column, metric, scale)
    places = {group.name: place for place, (group, _) in enumerate(known)}
    return tuple(sorted(found, key=lambda one: places[one.group]))


def _sliced_run(run: ExperimentRecord, metric: str) -> _SlicedRun | None:
    """None where the run has no slices, or its rows do not give its number."""
    told = run.part("details").get("slices")
    known = run_rows(JobFolder(run.folder), run.metrics, metric) if isinstance(told, Mapping) else None
    if known is None or not known.rows.slices or not isinstance(told, Mapping):
        return None
    columns = [column for column in known.rows.slices if column in told]
    names = {column: tuple(str(one["value"]) for one in told[column]) for column in columns}
    return _SlicedRun(run, known.rows, names)


def _of_column(known: Sequence[_SlicedGroup], column: str, metric: str, scale: Scale) -> list[SlicedResult]:
    """Set-ups whose runs have the same slices of a column."""
    if not known:
        return []
    first = known[0][1][0]
    codes = first.rows.slices[column]
    results: dict[str, list[SliceResult]] = {group.name: [] for group, _ in known}
    for code, value in enumerate(first.names[column]):
        places = np.flatnonzero(codes == code)
        for name, one in _of_slice(known, value, places, metric, scale).items():
            results[name].append(one)
    return [_summed_up(group, runs, column, results[group.name], (metric, scale)) for group, runs in known]


def _summed_up(
    group: Group, runs: Sequence[_SlicedRun], column: str, values: list[SliceResult], measure: tuple[str, Scale]
) -> SlicedResult:
    """A set-up on a column, the worst slice first."""
    metric, scale = measure
    ordered = sorted(values, key=lambda one: one.result if scale.higher_is_better else -one.result)
    whole = float(np.mean([one.run.part("results")[metric] for one in runs]))
    worst = next((one for one in ordered if one.n_rows >= FEWEST_ROWS), None) if len(ordered) > 1 else None
    is_below = worst is not None and (
        worst.interval.high < whole if scale.higher_is_better else worst.interval.low > whole
    )
    return SlicedResult(group.name, column, metric, whole, tuple(ordered), worst, is_below)


def _of_slice(
    known: Sequence[_SlicedGroup], value: str, places: NDArray[np.int64], metric: str, scale: Scale
) -> dict[str, SliceResult]:
    """Set-up -> its mean over runs on some rows; nothing without a row, or where the metric does not follow from rows.

    What is usual of seeds on these rows is taken from all of the set-ups, as on the board.
    """
    if not len(places):
        return {}
    alone = {group.name: _alone(group, runs, places, metric) for group, runs in known}
    readable = {name: found for name, found in alone.items() if found}
    first = known[0][1][0]
    step = step_of(metric, first.run.part("details"), len(places))
    comparer = Comparer(replace(scale, step=step), len(places)).with_priors(readable.values())
    n_labels = _labels_there(first.rows.at(places))
    found = {}
    for name, runs in readable.items():
        interval, covers = comparer.interval(runs)
        mean = float(np.mean([one.observed for one in runs]))
        found[name] = SliceResult(value, len(places), n_labels, mean, interval, covers)
    return found


def _labels_there(rows: EvaluatedRows) -> int | None:
    """How many labels the gold of some rows has; None where there are no labels."""
    if rows.gold_sets is not None:
        return int(rows.gold_sets.any(axis=0).sum())
    return None if rows.gold is None else len(np.unique(rows.gold))


def _alone(group: Group, runs: Sequence[_SlicedRun], places: NDArray[np.int64], metric: str) -> list[Difference]:
    """The runs of a set-up on some rows, each beside nothing; none where one of them cannot be worked out."""
    known = [sums for one in runs if (sums := _sums(one, places, metric)) is not None]
    if len(known) < len(runs):
        return []
    seeds: dict[str, list[SeedKey]] = {}
    for row in group.rows:
        seeds.setdefault(row.id, []).append(row.seeds)
    return [
        Difference(None if group.no_seed_effect else seed_of_all(seeds[one.run.id]), own.whole, values, kind=ALONE)
        for one, own, values in zip(runs, known, sampled(known, metric), strict=True)
    ]


def _sums(one: _SlicedRun, places: NDArray[np.int64], metric: str) -> RowSums | None:
    """How the rows of a slice make the metric; means over labels are over those that its gold has."""
    rows, labels = one.rows.at(places), one.run.part("details").get("labels")
    if metric in metric_registry and isinstance(labels, list):
        there = over_labels_there(metric, rows, len(labels))
        if there is not None:
            return there
    return row_sums(metric, rows, one.run.metrics)
