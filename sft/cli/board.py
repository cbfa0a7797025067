"""The leaderboard on the terminal: rank, name, metrics and seconds; the files hold every setting."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from sft.experiments.wording import some, without_numbers

MISSING = "n/a"


def board_text(leaderboard: Mapping[str, Any], width: int | None = None) -> str:
    """One table per board, then the rows without a result and why.

    Args:
        leaderboard: content of `leaderboard.json`.
        width: columns of the terminal; default: as many as it has.
    """
    from sft.reporting.formats.effect_text import short_lines

    width = width or shutil.get_terminal_size((120, 24)).columns
    rows = {(row["board"], row["name"], row["id"]): row for row in leaderboard["rows"]}
    parts = []
    for board in leaderboard["boards"]:
        ranked = [(place["rank"], rows[board["board"], place["name"], place["id"]]) for place in board["ranking"]]
        parts += [
            _title(board),
            "",
            *_ranking(board, ranked, width),
            *short_lines(board),
            *_baselines(board, leaderboard),
            *(f"note: {warning}" for warning in board["warnings"]),
            "",
        ]
    parts += _unfinished(row for row in leaderboard["rows"] if row["board"] is None)
    return "\n".join(parts)


def _unfinished(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The rows without a result, those that stand alike in one line."""
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        alike.setdefault(without_numbers(f"{row['state']}{_reason(row['error'])}"), []).append(row)
    return [
        f"{some([row['name'] for row in found])}: {found[0]['state']}{_reason(found[0]['error'])}"
        for found in alike.values()
    ]


def _baselines(board: Mapping[str, Any], leaderboard: Mapping[str, Any]) -> list[str]:
    """The baselines of a board by the metric that ranks it, without a rank."""

    def of_board(key: str) -> list[Mapping[str, Any]]:
        return [item for item in leaderboard.get(key, []) if item["board"] == board["board"]]

    found = [(item["title"], item["results"].get(board["metric"])) for item in of_board("baselines")]
    return [
        *(f"baseline, not ranked: {title}: {board['metric']} {_number(value, 4)}" for title, value in found),
        *(
            f"note: {item['name']} of shots {item['shots']} left out: {item['reason']}"
            for item in of_board("baselines_left_out")
        ),
    ]


def _ranking(
    board: Mapping[str, Any], ranked: Sequence[tuple[int | None, Mapping[str, Any]]], width: int
) -> list[str]:
    """The groups where there are several seeds, else the experiments; then what intervals and tests are."""
    from sft.reporting.formats.group_table import group_cells, group_headers, has_seeds, statistics_lines

    groups = board.get("groups", [])
    if board["metric"] is None or not has_seeds(groups):
        return [_table(board, ranked, width), *statistics_lines(board)]
    cells = [group_cells(group, board) for group in groups]
    table = tabulate(
        cells, headers=group_headers(board), disable_numparse=True, stralign="right", colalign=("right", "left")
    )
    return [table, *statistics_lines(board)]


def _table(board: Mapping[str, Any], ranked: Sequence[tuple[int | None, Mapping[str, Any]]], width: int) -> str:
    """As many metrics as fit the width, the ranking one first, then it without the calibrator; at least that one."""
    from sft.reporting.board import uncalibrated

    names = list(dict.fromkeys(name for _, row in ranked for name in row["results"]))
    first = [board["metric"], uncalibrated(board["metric"] or "")]
    names.sort(key=lambda name: first.index(name) if name in first else len(first))
    while True:
        text = _drawn(board, ranked, names)
        if len(names) <= 1 or max(map(len, text.splitlines())) <= width:
            return text
        names.pop()


def _drawn(
    board: Mapping[str, Any], ranked: Sequence[tuple[int | None, Mapping[str, Any]]], names: Sequence[str]
) -> str:
    from sft.reporting.formats.group_table import TIE, interval_text

    groups = {(row["name"], row["id"]): group for group in board.get("groups", []) for row in group["rows"]}
    known = board.get("statistics") is not None
    table = []
    for rank, row in ranked:
        group = groups.get((row["name"], row["id"]), {})
        tie = TIE if (group.get("against_best") or {}).get("tie") else ""
        beside = [interval_text(group.get("interval")), tie] if known else []
        metrics, seconds = _metric_cells(row, names), _second_cells(row)
        ranked_by, others = metrics[:1], metrics[1:]
        table.append([MISSING if rank is None else str(rank), row["name"], *ranked_by, *beside, *others, *seconds])
    added = [_interval_header(board), ""] if known else []
    headers = ["#", "experiment", *names[:1], *added, *names[1:], "train s", "infer s"]
    return tabulate(table, headers=headers, disable_numparse=True, stralign="right", colalign=("right", "left"))


def _title(board: Mapping[str, Any]) -> str:
    return f"{board['task_type']} of {board['output_column']}, ranked by {board['metric']}"


def _interval_header(board: Mapping[str, Any]) -> str:
    """Where the board ranks on dev rows, the interval is of another number: the one of the test rows."""
    tested = board["statistics"]["metric"]
    return "95 % interval" if tested == board["metric"] else f"{tested}, 95 % interval"


def _metric_cells(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    return [_number(row["results"].get(name), 4) for name in names]


def _second_cells(row: Mapping[str, Any]) -> list[str]:
    return [_number(row["timing"].get(stage), 1) for stage in ("train", "infer")]


def _number(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"


def _reason(error: Mapping[str, Any] | None) -> str:
    return "" if error is None else f" at {error['stage']}: {error['message']}"
