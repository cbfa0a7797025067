"""Boards: experiments that answered the same question, ranked.

A board is one task type, output column, label set and set of evaluated rows; numbers of different boards are never
compared. It ranks by the first metric of its first experiment, in that metric's direction, on the dev rows where there
are any.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sft.config.canonical import key_of
from sft.evaluation.selection import DEV, UNCALIBRATED, higher_is_better, ranking_key, stands_beside
from sft.leaderboard.board_warnings import board_warnings, other_gold
from sft.leaderboard.cache.file_cache import FileCache
from sft.leaderboard.collect import ExperimentRecord, finite_number
from sft.leaderboard.groups import Group, groups_of
from sft.leaderboard.joining import Collected
from sft.leaderboard.records import Baselines, CalibrationGain, Effect, LearningCurve, ParetoFront, Verdict

if TYPE_CHECKING:
    from sft.leaderboard.statistics.comparison import BoardStatistics
    from sft.leaderboard.statistics.slices import SlicedResult

_DIGITS = 8


@dataclass(frozen=True)
class RankedRow:
    """One experiment on its board; equal values share a rank, one without a value has none."""

    rank: int | None
    value: float | None
    record: ExperimentRecord


@dataclass(frozen=True)
class Board:
    """Experiments that can be compared.

    Attributes:
        id: task type, output column, and hash of label set and evaluated rows.
        metric: key of `results` by which it ranks; None where its first experiment has no number.
        rows: best first.
        warnings: what a reader must know before comparing.
        groups: its rows by settings, best first; empty before `with_statistics`.
        statistics: of the groups.
        verdict: what they come to; None before `with_statistics`.
        in_grid_order: its rows as the grid has them.
        effects: what the values of each axis change; empty before `with_statistics`, like all that follow.
        effects_dev: the same on the dev rows, where these rank: what to choose by.
        learning_curves: groups over their shots.
        calibration_gains: of the groups that have a calibrator.
        pareto: quality beside costs.
        slices: the leading groups on slices of the test rows, where their runs have any.
    """

    id: str
    task_type: str
    output_column: str
    labels: tuple[str, ...] | None
    metric: str | None
    higher_is_better: bool
    rows: tuple[RankedRow, ...]
    warnings: tuple[str, ...]
    groups: tuple[Group, ...] = ()
    statistics: "BoardStatistics | None" = None
    verdict: Verdict | None = None
    in_grid_order: tuple[ExperimentRecord, ...] = ()
    effects: tuple[Effect, ...] = ()
    effects_dev: tuple[Effect, ...] = ()
    learning_curves: tuple[LearningCurve, ...] = ()
    calibration_gains: tuple[CalibrationGain, ...] = ()
    pareto: tuple[ParetoFront, ...] = ()
    slices: "tuple[SlicedResult, ...]" = ()

    @property
    def records(self) -> list[ExperimentRecord]:
        """Its experiments, best first."""
        return [row.record for row in self.rows]

    def ranked_by(self, metric: str, *, higher: bool) -> "Board":
        """The board ranked by another result, without groups.

        Args:
            metric: key of `results`.
            higher: whether more of it is better.
        """
        rows = _ranked(self.records, metric, higher)
        return replace(self, metric=metric, higher_is_better=higher, rows=rows, groups=(), statistics=None)


@dataclass(frozen=True)
class Leaderboard:
    """All boards, the experiments of the grid that are on none, and those that stand in no grid any more."""

    boards: tuple[Board, ...]
    without_result: tuple[ExperimentRecord, ...]
    others: tuple[ExperimentRecord, ...]
    baselines: Baselines = field(default_factory=Baselines)
    with_texts: bool = True
    """Whether reports may show texts of the data."""
    in_grid: tuple[ExperimentRecord, ...] = ()
    """The experiments of the grid in its order, with a result or without."""
    caches: tuple[FileCache, ...] = ()
    """Of the results folders, as `Collected` has them."""


def rank(collected: Collected) -> Leaderboard:
    """Sort the experiments onto their boards."""
    groups: dict[str, list[ExperimentRecord]] = {}
    without = []
    for record in collected.in_grid:
        if record.state == "done":
            groups.setdefault(board_id(record), []).append(record)
        else:
            without.append(record)
    remarks = other_gold(groups)
    boards = tuple(_board(key, records, remarks.get(key)) for key, records in groups.items())
    return Leaderboard(boards, tuple(without), collected.others, in_grid=collected.in_grid, caches=collected.caches)


def with_ranks(leaderboard: Leaderboard) -> Leaderboard:
    """The boards with their groups alone."""
    boards = (with_groups(board, leaderboard.without_result) for board in leaderboard.boards)
    return replace(leaderboard, boards=tuple(boards))


def with_groups(board: Board, unfinished: Sequence[ExperimentRecord]) -> Board:
    """The board with its groups, without statistics.

    Args:
        board: without.
        unfinished: experiments without a result; they tell which seeds were planned.
    """
    return replace(board, groups=groups_of(board.records, unfinished, board.metric, board.higher_is_better))


def leading_group(board: Board) -> Group | None:
    """The first-ranked group of a board with groups; while every group lacks seeds, the best of them so far."""
    return next((group for group in board.groups if group.value is not None), None)


def best_run(board: Board) -> ExperimentRecord:
    """The best-ranked run of the leading group; where no number ranks, or before there are groups, the first row."""
    group = leading_group(board)
    return group.runs[0] if group is not None else board.rows[0].record


def board_id(record: ExperimentRecord) -> str:
    """The board of a finished experiment."""
    data = record.part("data")
    task_type, column = record.setting("dataset.task_type"), record.setting("prompting.output_column")
    rows = data.get("test_rows_sha256"), data.get("dev_rows_sha256")
    return f"{task_type}/{column}/{_digits(task_type, column, _labels(record) or (), *rows)}"


@lru_cache(256)
def _digits(task_type: Any, column: Any, labels: tuple[str, ...], test: Any, dev: Any) -> str:
    """Of what is the same in most experiments."""
    identity = {"task_type": task_type, "output_column": column, "labels": sorted(labels), "test": test, "dev": dev}
    return key_of(identity)[:_DIGITS]


def direction(record: ExperimentRecord, key: str) -> bool:
    """Whether a higher value is better for a key of `results`; what nobody says counts as higher is better."""
    name = key.removeprefix(DEV).removeprefix(UNCALIBRATED)
    known = record.part("details").get("higher_is_better")
    if isinstance(known, Mapping) and name in known:
        return bool(known[name])
    return higher_is_better(name) is not False if ":" not in name else True


def uncalibrated(key: str) -> str:
    """The key of the same result without the calibrator."""
    prefix = DEV if key.startswith(DEV) else ""
    return f"{prefix}{UNCALIBRATED}{key.removeprefix(prefix)}"


def _labels(record: ExperimentRecord) -> tuple[str, ...] | None:
    labels = record.part("details").get("labels")
    return tuple(labels) if isinstance(labels, list) else None


def _board(key: str, records: Sequence[ExperimentRecord], remark: str | None) -> Board:
    """A board without groups.

    Args:
        key: its id.
        records: its experiments.
        remark: what to know of it beside other boards; None where there is nothing.
    """
    first = records[0]
    metric = _metric_of(first)
    higher = metric is None or direction(first, metric)
    rows = _ranked(records, metric, higher)
    return Board(
        id=key,
        task_type=str(first.setting("dataset.task_type")),
        output_column=str(first.setting("prompting.output_column")),
        labels=_labels(first),
        metric=metric,
        higher_is_better=higher,
        rows=rows,
        warnings=(*([] if remark is None else [remark]), *board_warnings(records)),
        in_grid_order=tuple(records),
    )


def _metric_of(first: ExperimentRecord) -> str | None:
    """The key that ranks: the first metric asked for, in its dev form where there is one."""
    results = first.part("results")
    test = {name: value for name, value in results.items() if not name.startswith(DEV) and not stands_beside(name)}
    asked = first.setting("evaluation.metrics")
    name = ranking_key(asked[0], test) if asked else None
    name = name if name is not None else next(iter(test), None)
    return f"{DEV}{name}" if name is not None and f"{DEV}{name}" in results else name


def _ranked(records: Sequence[ExperimentRecord], metric: str | None, higher: bool) -> tuple[RankedRow, ...]:
    values = {id(record): finite_number(record.part("results").get(metric or "")) for record in records}
    sign = -1.0 if higher else 1.0

    def place(record: ExperimentRecord) -> float:
        value = values[id(record)]
        return math.inf if value is None else sign * value

    ordered = sorted(records, key=place)
    ranks: dict[float, int] = {}
    for number, record in enumerate(ordered, 1):
        ranks.setdefault(place(record), number)
    return tuple(
        RankedRow(None if values[id(record)] is None else ranks[place(record)], values[id(record)], record)
        for record in ordered
    )
