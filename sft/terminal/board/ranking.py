"""The ranking of a board as a table of its set-ups."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sft.terminal.screen import (
    FAINT,
    GAP,
    LEADER,
    MISSING,
    Column,
    Parts,
    Screen,
    best_cells,
    fitting,
    line,
    number,
    table,
)
from sft.wording import p_text, some

NAME_WIDTH = 18
"""Names are not shortened to less."""
NAME_ROOM = 40
"""So many characters of a name get room before any column that is not essential."""
_FILES = "leaderboard.md, .html and .csv"

_INTERVAL, _COUNT, _SECONDS, _AGAINST, _COSTS, _METRICS = 1, 2, 3, 4, 5, 6
"""When a column leaves where there is no room, the highest first; from the difference to the best on they are shown on
terminals alone."""

Row = Mapping[str, Any]


def ranking_parts(board: Row, screen: Screen, top: int | None) -> Parts:
    """The table, and below it how many rows and columns are left out and where they are.

    Args:
        board: one of `boards` of a `leaderboard.json`.
        screen: what it is made for.
        top: so many set-ups, the best ones; None: all.
    """
    from sft.reporting.tables.costs import cost_lines

    groups = board["groups"]
    costs = _costs(groups)
    every = (*_essential(board), *costs, *_against(groups), *_metrics(board))
    columns = [replace(column, cells=column.cells[:top]) for column in every]
    kept = [column for column in columns if screen.width is not None or column.leaves < _AGAINST]
    left = [column.header for column in columns if column not in kept]
    kept = _with_room_for_names(kept, screen)
    leads = {row: LEADER for row, group in enumerate(groups) if group["rank"] == 1 and len(groups) > 1}
    n_more = len(groups[top:]) if top is not None else 0
    shown, *no_room = table(kept, screen, leads)
    has_costs = any(column.header == costs[0].header for column in fitting(kept, screen))
    return [
        shown,
        *([line(f"and {n_more} more: {_FILES}")] if n_more else []),
        *no_room,
        *([line(f"Only in {_FILES}: {some(left)}", FAINT)] if left else []),
        *(line(text, FAINT) for text in (cost_lines(board) if has_costs else ())),
    ]


def _with_room_for_names(columns: Sequence[Column], screen: Screen) -> list[Column]:
    """Names whole before there is anything that is not essential."""
    if screen.width is None:
        return list(columns)
    taken = sum(column.natural + GAP for column in columns if column.leaves < _SECONDS and not column.is_name)
    least = min(max(NAME_WIDTH, screen.width - taken), NAME_ROOM)
    return [replace(column, least=least) if column.is_name else column for column in columns]


def _essential(board: Row) -> list[Column]:
    """Rank, name, mean and sd, interval, mark."""
    from sft.evaluation.selection import DEV
    from sft.reporting.tables.groups import has_seeds, interval_text
    from sft.reporting.tables.marks import mark_text, rank_text

    groups, metric = board["groups"], board["metric"] or ""
    tested = metric.removeprefix(DEV)
    seeds = has_seeds(groups)
    columns = [
        Column("#", [rank_text(group) for group in groups]),
        Column("set-up", [group["name"] for group in groups], least=NAME_WIDTH, is_name=True),
    ]
    if seeds:
        columns.append(Column("n", [_count(group) for group in groups], leaves=_COUNT))
    if metric != tested:
        columns.append(Column(metric, [number(group["value"]) for group in groups]))
    if metric:
        means = [_mean(group["results"].get(tested)) for group in groups]
        columns.append(Column(f"{tested} ± sd" if seeds else tested, means))
    if board["statistics"] is not None:
        intervals = [interval_text(group["interval"]) for group in groups]
        marks = [mark_text(group) for group in groups]
        columns.append(Column("95 % interval", intervals, leaves=_INTERVAL))
        columns.append(Column("mark", marks, least=max(map(len, marks))))
    return columns


def _count(group: Row) -> str:
    """Runs, of the seeds that were to be run where some are missing."""
    return str(group["n"]) if group["complete"] else f"{group['n_seeds']}/{group['expected_seeds']}"


def _mean(summary: Row | None) -> str:
    """The mean alone where one run has no spread."""
    if summary is None:
        return MISSING
    return number(summary["mean"]) + ("" if summary["sd"] is None else f" ± {number(summary['sd'])}")


def _against(groups: Sequence[Row]) -> Iterator[Column]:
    """The difference to the best and its p."""
    from sft.reporting.tables.groups import interval_text

    found = [group["against_best"] for group in groups]
    if any(found):
        differences = [
            "" if item is None else f"{item['difference']:+.4f} {interval_text(item, '+.4f')}" for item in found
        ]
        yield Column("to the best", differences, leaves=_AGAINST)
        yield Column("p (Holm)", ["" if item is None else p_text(item["p_holm"]) for item in found], leaves=_AGAINST)


def _metrics(board: Row) -> Iterator[Column]:
    """The means of all but the ranking metric, which is first without the calibrator."""
    from sft.evaluation.selection import DEV
    from sft.leaderboard.board import uncalibrated

    metric = board["metric"] or ""
    means = [{name: found["mean"] for name, found in group["results"].items()} for group in board["groups"]]
    there = dict.fromkeys(name for found in means for name in found)
    first = [name for name in (uncalibrated(metric),) if name in there]
    names = [name for name in dict.fromkeys([*first, *there]) if name not in (metric, metric.removeprefix(DEV))]
    for name in names:
        values = [found.get(name) for found in means]
        styles = best_cells(values, higher=board["directions"].get(name))
        yield Column(name, [number(value) for value in values], leaves=_METRICS, styles=styles)


def _costs(groups: Sequence[Row]) -> list[Column]:
    """Seconds first."""
    from sft.reporting.tables.costs import COSTS

    return [
        Column(cost.title, [cost.text(group["costs"]) for group in groups], leaves=_SECONDS if place < 2 else _COSTS)
        for place, cost in enumerate(COSTS)
    ]
