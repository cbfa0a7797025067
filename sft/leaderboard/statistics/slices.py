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
from sft.leaderboard.records import Interval
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
class _RunSlices:
    """A run of a set-up with its rows and what its slices are called, by column."""

    run: ExperimentRecord
    rows: EvaluatedRows
    names: Mapping[str, tuple[str, ...]]


def sliced_results(groups: Sequence[Group], metric: str, scale: Scale) -> tuple[SlicedResult, ...]:
    """Every leading set-up on the slices of each column that all of its runs have, the worst slice first.

    Args:
        groups: of one board, best first, with their marks.
        metric: the ranking metric, on test rows.
        scale: of the metric.
    """
    found = []
    for group in leading_groups(groups):
        runs = [known for run in group.runs if (known := _slices_of(run, metric)) is not None]
        if len(runs) == len(group.runs):
            columns = [name for name in runs[0].names if all(_are_alike(name, runs[0], one) for one in runs)]
            found += [_of_column(group, runs, column, metric, scale) for column in columns]
    return tuple(found)


def _slices_of(run: ExperimentRecord, metric: str) -> _RunSlices | None:
    """None where the run has no slices, or its rows do not give its number."""
    told = run.part("details").get("slices")
    rows = run_rows(JobFolder(run.folder), run.metrics, metric) if isinstance(told, Mapping) else None
    if rows is None or not isinstance(told, Mapping):
        return None
    names = {column: tuple(str(one["value"]) for one in told[column]) for column in rows.slices if column in told}
    return _RunSlices(run, rows, names)


def _are_alike(column: str, first: _RunSlices, other: _RunSlices) -> bool:
    """Whether two runs have the same rows in the same slices of a column."""
    is_same = first.names[column] == other.names.get(column)
    return is_same and np.array_equal(first.rows.slices[column], other.rows.slices[column])


def _of_column(group: Group, runs: Sequence[_RunSlices], column: str, metric: str, scale: Scale) -> SlicedResult:
    codes = runs[0].rows.slices[column]
    values = [
        known
        for code, name in enumerate(runs[0].names[column])
        if (known := _of_slice(group, runs, name, np.flatnonzero(codes == code), metric, scale)) is not None
    ]
    values.sort(key=lambda one: one.result if scale.higher_is_better else -one.result)
    whole = float(np.mean([run.run.part("results")[metric] for run in runs]))
    worst = next((one for one in values if one.n_rows >= FEWEST_ROWS), None) if len(values) > 1 else None
    is_below = worst is not None and (
        worst.interval.high < whole if scale.higher_is_better else worst.interval.low > whole
    )
    return SlicedResult(group.name, column, metric, whole, tuple(values), worst, is_below)


def _of_slice(
    group: Group, runs: Sequence[_RunSlices], name: str, places: NDArray[np.int64], metric: str, scale: Scale
) -> SliceResult | None:
    """The mean over runs on some rows; None where there is no row, or the metric does not follow from rows."""
    sums = [_sums(one, places, metric) for one in runs] if len(places) else []
    known = [one for one in sums if one is not None]
    if not known or len(known) < len(runs):
        return None
    samples = sampled(known, metric)
    seeds: dict[str, list[tuple[object, ...]]] = {}
    for row in group.rows:
        seeds.setdefault(row.id, []).append(row.seeds)
    alone = [
        Difference(None if group.no_seed_effect else seed_of_all(seeds[one.run.id]), own.whole, values, kind=ALONE)
        for one, own, values in zip(runs, known, samples, strict=True)
    ]
    step = step_of(metric, runs[0].run.part("details"), len(places))
    interval, covers = Comparer(replace(scale, step=step), len(places)).interval(alone)
    mean = float(np.mean([own.whole for own in known]))
    gold = runs[0].rows.gold
    n_labels = None if gold is None else len(np.unique(gold[places]))
    return SliceResult(name, len(places), n_labels, mean, Interval(interval.low, interval.high), covers)


def _sums(one: _RunSlices, places: NDArray[np.int64], metric: str) -> RowSums | None:
    """How the rows of a slice make the metric; means over labels are over those that its gold has."""
    rows, labels = one.rows.at(places), one.run.part("details").get("labels")
    if metric in metric_registry and isinstance(labels, list):
        there = over_labels_there(metric, rows, len(labels))
        if there is not None:
            return there
    return row_sums(metric, rows, one.run.metrics)
