"""What a leaderboard says of its groups, of the axes of its grid and of the baselines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = "test rows"
ROWS_AND_SEEDS = "test rows and seeds"
"""The sources of chance that an interval may be over."""

SeedKey = tuple[Any, ...]
"""The seed in force of every source of chance."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """One result over the runs of a group."""

    n: int
    mean: float
    sd: float | None
    """Over runs, with n - 1; None for one run."""
    median: float


BEST, EQUIVALENT, BETTER, WORSE, NOT_TOLD_APART = "best", "equivalent", "better", "worse", "not told apart"
"""What a comparison comes to; `BEST` is what a board's first set-up is called."""

LEVEL = 0.05
"""A corrected p below it tells two set-ups apart."""


@dataclass(frozen=True)
class Comparison:
    """Two set-ups on the same test rows, the first less the second, or the mean of several such pairs.

    Attributes:
        difference: over the seeds that both have; where they share none, of their means.
        interval: 95 %, of the difference.
        p: two-sided, of a difference of 0, not corrected.
        p_holm: corrected for the family of comparisons in which it is reported.
        mark: `equivalent` (90 % interval within the margin), else by `p_holm` < 0.05, else `not told apart`.
        test: `mcnemar` or `bootstrap` (rows alone), `t` (common seeds), `t-different-seeds`, `t-one-seed` (the spread
            over seeds is that of the board's other set-ups).
        covers: the sources of chance that interval and p are over.
        runs_only: whether seeds have an effect that nothing here tells; two runs are not marked but `not told apart`.
        n_seeds: seeds that both have; 1 where no seed moves either, 0 where they share none.
        n_pairs: pairs of runs.
        detectable: the smallest true difference that a 5 % test of this pair finds with 80 % power; None: none.
        needed: test rows and seeds with which it would find the margin; None without a margin.
    """

    difference: float
    interval: Interval
    p: float
    p_holm: float
    mark: str
    test: str
    covers: str
    runs_only: bool
    n_seeds: int
    n_pairs: int
    detectable: float | None
    needed: "Needed | None"


@dataclass(frozen=True)
class Needed:
    """So many test rows and seeds find a difference as large as the margin with 80 % power at 5 %."""

    rows: int
    seeds: int


@dataclass(frozen=True)
class Verdict:
    """The conclusions of a board.

    Attributes:
        winner: name of the set-up that leads; None where none is ranked.
        provisional: whether it lacks seeds.
        equivalent: names of those that are equivalent to it, best first.
        cheapest: name of the cheapest among it and those; None where no row of theirs can be compared.
        lines: sentences for people.
    """

    winner: str | None
    provisional: bool
    equivalent: tuple[str, ...]
    cheapest: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What one value of an axis changes against the axis' reference, on the same seeds, all else equal.

    Attributes:
        axis: dotted path of a setting, or which part of the names.
        also: settings that change together with it.
        kind: `setting` or `name`.
        reference, value: as text.
        reference_name: the part of the names that says the same as a setting's reference; None where none does.
        value_name: likewise.
        changes: setting in force in which the two sides differ -> how each is written, the value's first.
        metric: the ranking metric; its name tells whether it is of dev rows.
        difference: value less reference, mean over pairs.
        n_pairs: pairs of runs.
        comparison: corrected for all effects of the board; None where rows are not known.
    """

    axis: str
    also: tuple[str, ...]
    kind: str
    reference: str
    value: str
    reference_name: str | None
    value_name: str | None
    changes: Mapping[str, tuple[str, str]]
    metric: str
    difference: float
    n_pairs: int
    comparison: Comparison | None


@dataclass(frozen=True)
class CurvePoint:
    """A group on a learning curve.

    Attributes:
        shots: as in the config: a number or `all`.
        n_train: rows that are the shots; None where nobody says.
        group: its name.
        value: mean of the metric over its runs.
        low: end of the 95 % interval of the mean; None without rows.
        high: the other end.
        n: runs.
    """

    shots: int | str
    n_train: int | None
    group: str
    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class LearningCurve:
    """Groups that differ in their shots alone, fewest first.

    Attributes:
        name: what tells it from the other curves.
        settings: those in which the curves differ, by dotted path.
        metric: the ranking metric, on test rows.
        points: at least two.
    """

    name: str
    settings: Mapping[str, Any]
    metric: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class CalibrationGain:
    """What the calibrator changes in the runs of a group, on the same rows.

    Attributes:
        group: its name.
        calibrator: `calibration_fn`.
        metric: the ranking metric, on test rows.
        uncalibrated, calibrated: means over runs.
        difference: calibrated less uncalibrated.
        n: runs.
        comparison: corrected for all gains of the board; None without rows.
    """

    group: str
    calibrator: str
    metric: str
    uncalibrated: float
    calibrated: float
    difference: float
    n: int
    comparison: Comparison | None


@dataclass(frozen=True)
class ParetoPoint:
    """A group: what it costs (mean over runs), how good it is, and whether it is on the front."""

    group: str
    cost: float
    value: float
    on_front: bool


@dataclass(frozen=True)
class ParetoFront:
    """The ranked groups of a board by one cost, cheapest first.

    On the front is a group than which no other one is better at a cost that counts as no higher, or as good at a lower
    one.

    Attributes:
        cost: `seconds of training`, `seconds per 1,000 predictions`, `peak memory of ...` or `trainable parameters`.
        unit: of the cost.
        metric: that of the value: the one by which the board ranks, on dev rows where there are any.
        points: all groups that have both numbers.
        tolerance: the share of a cost by which another one must be less to count as lower.
    """

    cost: str
    unit: str
    metric: str
    points: tuple[ParetoPoint, ...]
    tolerance: float


@dataclass(frozen=True)
class ShotSetBaseline:
    """A baseline on one set of shots.

    Attributes:
        train_indices_sha256: of the JSON list of the shots' positions in the train split.
        seeds: the values of `seeds.shots` of the experiments that have these shots.
        n_train: shots.
        results: number by metric, `dev_` ones too where there is a dev split; only those that the board shows.
        rows: the file with its evaluated rows, as a run's `rows.npz`; None where they were not kept.
    """

    train_indices_sha256: str
    seeds: tuple[int, ...]
    n_train: int
    results: Mapping[str, float]
    rows: Path | None = None


@dataclass(frozen=True)
class Baseline:
    """A baseline on all sets of shots of one size on a board.

    Attributes:
        board: id of the board.
        name: what it is.
        shots: as in `dataset.shots`.
        input_columns: the columns it reads.
        results: mean over the sets by metric.
        sets: the sets of shots, in the order of the experiments.
    """

    board: str
    name: str
    shots: int | str
    input_columns: tuple[str, ...]
    results: Mapping[str, float]
    sets: tuple[ShotSetBaseline, ...]

    @property
    def title(self) -> str:
        """The baseline with what it saw, for people."""
        sets = "" if len(self.sets) == 1 else f", mean of {len(self.sets)} sets"
        return f"{self.name} (shots {self.shots}{sets})"


@dataclass(frozen=True)
class LeftOut:
    """Why a board lacks a baseline of some shots."""

    board: str
    name: str
    shots: int | str
    reason: str


@dataclass(frozen=True)
class Baselines:
    """The baselines of all boards, and those that could not be had."""

    found: tuple[Baseline, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def of(self, board: str) -> list[Baseline]:
        """The baselines of a board."""
        return [baseline for baseline in self.found if baseline.board == board]

    def left_out_of(self, board: str) -> list[LeftOut]:
        """What a board lacks."""
        return [item for item in self.left_out if item.board == board]
