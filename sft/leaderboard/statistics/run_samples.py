"""The runs of a board on the very same bootstrap samples of its test rows, worked out once for all its statistics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sft.evaluation.rows import EvaluatedRows, read_rows
from sft.evaluation.selection import UNCALIBRATED
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.statistics.formulas import Floats, bootstrap_values
from sft.leaderboard.statistics.row_metrics import ROW_METRICS
from sft.runs.files import JobFolder

_SAME = 1e-9


@dataclass(frozen=True)
class RunSamples:
    """What is known of runs by their rows; runs whose rows cannot be used are in none of the maps.

    Attributes:
        metric: a result on test rows.
        rows: by id of the run.
        values: by id, (samples,) the metric on each sample of the rows, the same rows for all runs.
        uncalibrated: as `values`, without the calibrator; only of runs that have one and kept those rows.
    """

    metric: str
    rows: Mapping[str, EvaluatedRows] = field(default_factory=dict)
    values: Mapping[str, Floats] = field(default_factory=dict)
    uncalibrated: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Test rows."""
        return len(next(iter(self.rows.values()), ()))

    def has_all(self, ids: Iterable[str]) -> bool:
        """Whether all of these runs are known."""
        return all(run in self.values for run in ids)


def run_samples(runs: Sequence[ExperimentRecord], metric: str) -> RunSamples:
    """Read the rows of runs and sample them.

    Args:
        runs: of one board; one that stands in it twice counts once.
        metric: a result on test rows; one that does not follow from rows knows no run.
    """
    by_id = {run.id: run for run in runs}
    rows = readable_rows(list(by_id.values()), metric)
    if not rows:
        return RunSamples(metric)
    n_labels = _n_labels(runs[0])
    without = {
        run: other
        for run, own in rows.items()
        if (other := own.without_calibrator()) is not None
        and _gives(other, metric, by_id[run].part("results").get(f"{UNCALIBRATED}{metric}"), n_labels)
    }
    values = bootstrap_values([*rows.values(), *without.values()], ROW_METRICS[metric], n_labels)
    return RunSamples(
        metric, rows, dict(zip(rows, values, strict=False)), dict(zip(without, values[len(rows) :], strict=True))
    )


def readable_rows(runs: Sequence[ExperimentRecord], metric: str) -> dict[str, EvaluatedRows]:
    """Id -> rows of every run that has them, as many as the others, and that give the number in its results."""
    if metric not in ROW_METRICS or not runs:
        return {}
    n_labels = _n_labels(runs[0])  # in whatever order each run has them: every metric here is the same in all orders
    found: dict[str, EvaluatedRows] = {}
    for run in runs:
        rows = read_rows(JobFolder(run.folder).rows)
        is_alike = rows is not None and len(rows) == len(next(iter(found.values()), rows))
        if rows is not None and is_alike and _gives(rows, metric, run.part("results").get(metric), n_labels):
            found[run.id] = rows
    return found


def _gives(rows: EvaluatedRows, metric: str, written: object, n_labels: int) -> bool:
    """Whether the rows give the run's own number: not so where an option changes what the metric means."""
    if not isinstance(written, int | float) or not len(rows):
        return False
    try:
        number = ROW_METRICS[metric](rows, np.ones((len(rows), 1)), n_labels)[0]
    except ValueError:
        return False
    return abs(float(number) - written) <= _SAME * max(1.0, abs(written))


def _n_labels(run: ExperimentRecord) -> int:
    labels = run.part("details").get("labels")
    return len(labels) if isinstance(labels, list) else 0
