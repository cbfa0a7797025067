"""Which two experiments or groups a user means, and whether they can be compared."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sft.config.reading import BEST
from sft.exceptions import UserError
from sft.leaderboard.board import Board, Leaderboard, leading_group
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.gathering import common_name
from sft.leaderboard.groups import Group
from sft.registry import nearest
from sft.runs.files import ID_DIGITS
from sft.wording import shown_path, some

SHOWN = 5
"""Names and rows that an error lists."""


@dataclass(frozen=True)
class Side:
    """One of two.

    Attributes:
        name: of the group or the experiment.
        board: where it stands.
        group: its runs; an experiment is a group of one.
        is_whole: whether these are all seeds that its settings were run with.
    """

    name: str
    board: Board
    group: Group
    is_whole: bool

    @property
    def ids(self) -> frozenset[str]:
        """The ids of its runs."""
        return frozenset(run.id for run in self.group.runs)


@dataclass(frozen=True)
class Sides:
    """Two that can be compared."""

    first: Side
    second: Side


def sides_of(leaderboard: Leaderboard, first: str, second: str) -> Sides:
    """The two that are meant: by the name of a group, of an experiment, the beginning of an id, `FOLDER:NAME` where
    results folders are joined, or `best`.

    `best` is the leading group of the other one's board, or its best-ranked run beside a single seed of a group.

    Args:
        leaderboard: with groups.
        first: as a user writes it.
        second: likewise.

    Raises:
        UserError: one is not there, has no result or may be several; or the two cannot be compared.
    """
    if first == second:
        rows = (row for board in leaderboard.boards for row in board.records if row.name == first)
        raise UserError(f"--diff: {first!r} stands there twice; name two experiments or groups{_with_folders(rows)}")
    if first == BEST:
        other = _side(leaderboard, second)
        found = Sides(_best(other), other)
    else:
        one = _side(leaderboard, first)
        found = Sides(one, _best(one) if second == BEST else _side(leaderboard, second))
    _require_comparable(found)
    return found


def _with_folders(rows: Iterable[ExperimentRecord]) -> str:
    """How to say which of several results folders is meant; nothing where there is one."""
    found = {place: row.name for row in rows for place in _places(row)}
    told = [f"{shown_path(place)}:{name}" for place, name in sorted(found.items())]
    return f", such as {some(told, SHOWN)}" if len(found) > 1 else ""


def _best(other: Side) -> Side:
    group = leading_group(other.board)
    if group is None:
        raise UserError("--diff: no experiment is ranked yet")
    return _whole(other.board, group) if other.is_whole else _alone(other.board, group, group.runs[0])


def _whole(board: Board, group: Group) -> Side:
    return Side(group.name, board, group, is_whole=True)


def _alone(board: Board, group: Group, record: ExperimentRecord) -> Side:
    if len(group.runs) == 1:
        return Side(record.name, board, group, is_whole=True)
    alone = Group(record.name, (record,), (record,), 1, 1, no_seed_effect=False, value=None)
    return Side(record.name, board, alone, is_whole=False)


def _side(leaderboard: Leaderboard, wanted: str) -> Side:
    groups = [(board, group) for board in leaderboard.boards for group in board.groups]
    for found in (
        {(board.id, group.runs[0].id): _whole(board, group) for board, group in groups if group.name == wanted},
        {row.id: _alone(board, group, row) for board, group in groups for row in group.rows if row.name == wanted},
        {
            row.id: _alone(board, group, row)
            for board, group in groups
            for row in group.rows
            if wanted and row.id.startswith(wanted)
        },
        _in_folder(groups, wanted),
    ):
        if len(found) > 1:
            listed = ", ".join(
                f"{side.name} [{side.group.runs[0].id[:ID_DIGITS]}]" for side in list(found.values())[:SHOWN]
            )
            rows = (side.group.rows[0] for side in found.values())
            raise UserError(f"--diff: {wanted!r} may be {listed}; write more of the id{_with_folders(rows)}")
        if found:
            return next(iter(found.values()))
    raise _unknown(leaderboard, wanted)


def _in_folder(groups: Sequence[tuple[Board, Group]], wanted: str) -> dict[str, Side]:
    """What `FOLDER:NAME` means: the runs of a group, or one of them, that a results folder holds."""
    found: dict[str, Side] = {}
    for board, group in groups:
        for place in dict.fromkeys(place for row in group.rows for place in _places(row)):
            labels = (str(place), shown_path(place), place.name)
            label = next((label for label in labels if wanted.startswith(f"{label}:")), None)
            if label is None:
                continue
            name = wanted.removeprefix(f"{label}:")
            rows = [row for row in group.rows if place in _places(row)]
            if common_name([row.name for row in rows]) == name:
                found[f"{group.runs[0].id} {place}"] = _part(board, group, rows, wanted)
            else:
                found |= {row.id: _alone(board, group, row) for row in rows if row.name == name}
    return found


def _places(row: ExperimentRecord) -> tuple[Path, ...]:
    """The results folders that hold an experiment."""
    return row.results_folder, *row.also_in


def _part(board: Board, group: Group, rows: Sequence[ExperimentRecord], name: str) -> Side:
    """Rows of a group as a side of their own."""
    ids = {row.id for row in rows}
    runs = tuple(run for run in group.runs if run.id in ids)
    n_seeds = len({row.seeds for row in rows})
    part = replace(group, name=name, runs=runs, rows=tuple(rows), n_seeds=n_seeds, value=None, rank=None)
    return Side(name, board, part, is_whole=True)


def _unknown(leaderboard: Leaderboard, wanted: str) -> UserError:
    """Why a name has no result, or what is called nearly so."""
    for record in (*leaderboard.without_result, *leaderboard.others):
        if record.name == wanted or (wanted and record.id.startswith(wanted)):
            if record in leaderboard.others:
                return UserError(f"--diff: {record.name} is not in this grid")
            reason = f": {record.error.message}" if record.error else ""
            return UserError(f"--diff: {record.name} has no result, it is {record.state}{reason}")
    called = [
        name
        for board in leaderboard.boards
        for name in (*(group.name for group in board.groups), *(record.name for record in board.records))
    ]
    names = list(dict.fromkeys(called))
    near = nearest(wanted, names)
    hint = f" (did you mean {near}?)" if near else f"; there are: {some(names, SHOWN)}"
    return UserError(f"--diff: no experiment or group is called {wanted!r}, and no id begins so{hint}")


def _require_comparable(sides: Sides) -> None:
    first, second = sides.first, sides.second
    if first.board.id != second.board.id:
        reasons = "; ".join(_apart(first, second))
        raise UserError(f"--diff: {first.name} and {second.name} cannot be compared: {reasons}")
    if first.ids == second.ids:
        raise UserError(f"--diff: {first.name} and {second.name} are the same experiment, which ran once")
    for one, other in ((first, second), (second, first)):
        if len(one.group.runs) > 1 and not other.is_whole:
            raise UserError(
                f"--diff: {one.name} is a group of {len(one.group.runs)} seeds and {other.name} one of the seeds of "
                "its own group: name two groups, or two experiments"
            )


def _apart(first: Side, second: Side) -> Iterator[str]:
    """In what their boards differ."""
    own, other = first.board, second.board
    if own.task_type != other.task_type:
        yield f"one is {own.task_type}, the other {other.task_type}"
    if own.output_column != other.output_column:
        yield f"one predicts {own.output_column}, the other {other.output_column}"
    if own.labels is not None and other.labels is not None and set(own.labels) != set(other.labels):
        yield f"the labels differ ({_only(own, other)})"
    for split in ("test", "dev"):
        data = [side.group.runs[0].part("data") for side in (first, second)]
        hashes = [part.get(f"{split}_rows_sha256") for part in data]
        if hashes[0] != hashes[1]:
            counts = [part.get(f"n_{split}") for part in data]
            sizes = f"{_rows(counts[0])} against {_rows(counts[1])}"
            same = "as many, but others: " if counts[0] == counts[1] else ""
            yield f"the {split} rows are not the same ({same}{sizes})"


def _only(own: Board, other: Board) -> str:
    """The labels that one of them alone has."""
    sets = [list(board.labels or ()) for board in (own, other)]
    extra = [[label for label in one if label not in two] for one, two in (sets, sets[::-1])]
    named = [
        f"only the {place}: {', '.join(labels[:SHOWN])}"
        for place, labels in zip(("first", "second"), extra, strict=True)
        if labels
    ]
    return "; ".join(named)


def _rows(count: int | None) -> str:
    return "none" if count is None else f"{count} rows"
