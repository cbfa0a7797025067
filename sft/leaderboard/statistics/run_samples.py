"""The runs of a board on the very same bootstrap samples of its rows, worked out once for all its statistics."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sft.evaluation.metrics.row_sums import RowSums
from sft.evaluation.recomputing import run_rows
from sft.evaluation.selection import UNCALIBRATED, split_prefix
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.statistics.formulas import Floats, bootstrap_values, linear_values, widening
from sft.runs.files import JobFolder

MACRO = "macro_"
"""In the name of a result that weighs each label equally, however few rows it has."""


@dataclass(frozen=True)
class RunSamples:
    """What is known of runs by their rows; runs whose rows do not give the result are in none of the maps.

    Attributes:
        metric: a result, of test or of dev rows.
        sums: by id of the run.
        values: by id, (samples,) the result on each sample of the rows, the same rows for all runs.
        uncalibrated: as `values`, without the calibrator; only of runs that have one and kept those rows.
    """

    metric: str
    sums: Mapping[str, "RunSums"] = field(default_factory=dict)
    values: Mapping[str, Floats] = field(default_factory=dict)
    uncalibrated: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows of the split."""
        return next((own.sums.n_rows for own in self.sums.values()), 0)

    def has_all(self, ids: Iterable[str]) -> bool:
        """Whether all of these runs are known."""
        return all(run in self.values for run in ids)


@dataclass(frozen=True)
class RunSums:
    """How the rows of one run make a result, with its calibrator, and without it where both are known."""

    sums: RowSums
    uncalibrated: RowSums | None = None


def run_samples(runs: Sequence[ExperimentRecord], metric: str, closely: Collection[str] | None = None) -> RunSamples:
    """Read the rows of runs and sample them.

    Args:
        runs: of one board; one that stands in it twice counts once.
        metric: a result, of test or of dev rows; one that does not follow from rows knows no run.
        closely: ids of the runs whose results are worked out anew on each sample, the others' to the first order;
            None = all.
    """
    known = run_sums(runs, metric)
    without = {run: own.uncalibrated for run, own in known.items() if own.uncalibrated is not None}
    return RunSamples(
        metric,
        known,
        _sampled_each({run: own.sums for run, own in known.items()}, metric, closely),
        _sampled_each(without, metric, closely),
    )


def _sampled_each(runs: Mapping[str, RowSums], metric: str, closely: Collection[str] | None) -> dict[str, Floats]:
    """By id; as in `run_samples`."""
    near = {run: own for run, own in runs.items() if closely is None or run in closely}
    far = {run: own for run, own in runs.items() if run not in near}
    found: dict[str, Floats] = {}
    if near:
        found |= zip(near, sampled(list(near.values()), metric), strict=True)
    if far:
        found |= zip(far, linear_values(list(far.values()), widened=MACRO in metric), strict=True)
    return {run: found[run] for run in runs}


def sampled(runs: Sequence[RowSums], metric: str) -> Floats:
    """(runs, samples) a result of every run on bootstrap samples of the rows, the same at every call.

    Those of a macro average are widened.

    Args:
        runs: how the same rows make it in each.
        metric: the result.
    """
    values = bootstrap_values(runs)
    if MACRO not in metric:
        return values
    means = values.mean(axis=1, keepdims=True)
    widened: Floats = means + widening(runs, values.var(axis=1))[:, None] * (values - means)
    return widened


def outcomes_of(own: RowSums, other: RowSums | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """The rows that each of two results counts; None where they are no shares of rows."""
    if other is None or own.right is None or other.right is None:
        return None
    return own.right, other.right


def run_sums(runs: Sequence[ExperimentRecord], metric: str) -> dict[str, RunSums]:
    """Id -> how the rows make a result, of every run that has as many as the others and whose rows give its number."""
    found: dict[str, RunSums] = {}
    for run in {run.id: run for run in runs}.values():
        sums = _sums_of(run, metric)
        if sums is not None and sums.sums.n_rows == next(iter(found.values()), sums).sums.n_rows:
            found[run.id] = sums
    return found


def _sums_of(run: ExperimentRecord, metric: str) -> RunSums | None:
    known = run_rows(JobFolder(run.folder), run.metrics, metric)
    if known is None:
        return None
    prefix = split_prefix(metric, run.part("details"))
    return RunSums(known.sums[metric], known.sums.get(f"{prefix}{UNCALIBRATED}{metric.removeprefix(prefix)}"))
