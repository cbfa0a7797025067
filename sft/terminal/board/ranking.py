"""The ranking of a board as a table: its experiments, or its groups where there are several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sft.runs.records import MODEL_STAGES
from sft.terminal.screen import LEADER, MISSING, Column, Parts, Screen, best_cells, number, table

NAME_WIDTH = 18
"""Names are not folded to less."""
_SECONDS, _INTERVAL, _P, _AGAINST = 4, 1, 2, 3
"""When a column leaves where there is no room, later than every further metric (5 and up)."""

Row = Mapping[str, Any]
Ranked = Sequence[tuple[int | None, Row]]


def experiments_table(board: Row, ranked: Ranked, screen: Screen) -> Parts:
    """The experiments; the ranking metric first, then it without the calibrator, then the others."""
    rows = [row for _, row in ranked]
    first = _SECONDS + len(MODEL_STAGES) - 1
    metrics = [
        _metric_column(name, [row["results"].get(name) for row in rows], place)
        for place, name in enumerate(_metrics(board, [row["results"] for row in rows]), first)
    ]
    return table(
        [
            Column("#", [MISSING if rank is None else str(rank) for rank, _ in ranked]),
            Column("experiment", [row["name"] for row in rows], least=NAME_WIDTH),
            *(replace(column, leaves=0) for column in metrics[:1]),
            *_beside(board, rows),
            *metrics[1:],
            *_seconds([{stage: row["timing"].get(stage) for stage in MODEL_STAGES} for row in rows]),
        ],
        screen,
        _leaders([rank for rank, _ in ranked]),
    )


def groups_table(board: Row, ranked: Ranked, screen: Screen) -> Parts:
    """The groups: mean and sd over seeds, interval, difference to the best; then the means of other metrics."""
    from sft.evaluation.rows import DEV
    from sft.reporting.tables.groups import group_cells, group_headers

    groups = board["groups"]
    headers = group_headers(board)
    texts = list(zip(*([*group_cells(group, board)[:-1], _mark(group)] for group in groups), strict=True))
    leaves = {"95 % interval": _INTERVAL, "p (Holm)": _P, "to the best": _AGAINST}
    means = [{name: found["mean"] for name, found in group["results"].items()} for group in groups]
    shown = {board["metric"], board["metric"].removeprefix(DEV)}
    others = [name for name in _metrics(board, means) if name not in shown]
    columns = [
        Column(header, cells, leaves=leaves.get(header, 0), least={"group": NAME_WIDTH, "": 0}.get(header))
        for header, cells in zip(headers, texts, strict=True)
    ]
    columns += [
        _metric_column(name, [mean.get(name) for mean in means], place)
        for place, name in enumerate(others, _SECONDS + len(MODEL_STAGES))
    ]
    columns += _seconds(_mean_seconds(groups, ranked))
    return table(columns, screen, _leaders([group["rank"] for group in groups]))


def _mark(group: Row) -> str:
    """What the last column says of a group: it leads, or the test rows do not tell it from the one that does."""
    from sft.reporting.tables.groups import TIE

    if (group.get("against_best") or {}).get("tie"):
        return TIE
    return "best" if group.get("rank") == 1 else ""


def _leaders(ranks: Sequence[int | None]) -> dict[int, str]:
    """The style of the rows that lead, where others follow."""
    return {row: LEADER for row, rank in enumerate(ranks) if rank == 1 and len(ranks) > 1}


def _metrics(board: Row, results: Sequence[Row]) -> list[str]:
    from sft.leaderboard.board import uncalibrated

    names = list(dict.fromkeys(name for found in results for name in found))
    first = [board["metric"], uncalibrated(board["metric"] or "")]
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first))


def _metric_column(name: str, values: Sequence[float | None], leaves: int) -> Column:
    return Column(name, [number(value) for value in values], leaves=leaves, styles=best_cells(values, name))


def _beside(board: Row, rows: Sequence[Row]) -> list[Column]:
    """Interval and mark of the group of each row, where they are known."""
    from sft.reporting.tables.groups import interval_text

    if board.get("statistics") is None:
        return []
    groups = {(row["name"], row["id"]): group for group in board["groups"] for row in group["rows"]}
    found = [groups.get((row["name"], row["id"]), {}) for row in rows]
    return [
        Column(_interval_header(board), [interval_text(group.get("interval")) for group in found], leaves=_INTERVAL),
        Column("", [_mark(group) for group in found], least=0),
    ]


def _interval_header(board: Row) -> str:
    """Where the board ranks on dev rows, the interval is of another number: the one of the test rows."""
    tested = board["statistics"]["metric"]
    return "95 % interval" if tested == board["metric"] else f"{tested}, 95 % interval"


def _seconds(rows: Sequence[Mapping[str, float | None]]) -> list[Column]:
    return [
        Column(f"{stage} s", [number(row.get(stage), 1) for row in rows], leaves=_SECONDS + place)
        for place, stage in enumerate(MODEL_STAGES)
    ]


def _mean_seconds(groups: Sequence[Row], ranked: Ranked) -> list[Mapping[str, float | None]]:
    """Stage -> mean over the runs of each group."""
    from sft.leaderboard.collect import mean

    timing = {row["id"]: row["timing"] for _, row in ranked}
    found: list[Mapping[str, float | None]] = []
    for group in groups:
        runs = [timing.get(run, {}) for run in dict.fromkeys(row["id"] for row in group["rows"])]
        found.append({stage: mean(run.get(stage) for run in runs) for stage in MODEL_STAGES})
    return found
