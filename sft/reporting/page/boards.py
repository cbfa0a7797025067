"""A board as the page reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.evaluation.selection import DEV
from sft.leaderboard.board import Board
from sft.leaderboard.details.suspects import suspects
from sft.reporting.charts.board_charts import effects_chart, learning_curve_chart, pareto_charts
from sft.reporting.charts.chart import Chart
from sft.reporting.formats.report_format import of_board
from sft.reporting.page.experiments import TEXT
from sft.reporting.page.tables import groups_table, runs_table, short
from sft.reporting.tables.columns import BoardTable
from sft.reporting.tables.costs import cost_lines
from sft.reporting.tables.effects import arrowed, effect_sections
from sft.reporting.tables.groups import statistics_lines
from sft.reporting.tables.labels import label_sections
from sft.reporting.tables.marks import mark_lines, verdict_lines
from sft.reporting.tables.slices import slice_sections, worst_slice_lines
from sft.reporting.tables.suspects import suspect_lines
from sft.wording import both_ends

Record = Mapping[str, Any]
_MOST_SUSPECTS = 20


def page_board(
    board: Board, table: BoardTable, record: Record, leaderboard: Record, *, with_texts: bool = True
) -> dict[str, Any]:
    """Everything that the page shows of a board but the details of its experiments.

    Args:
        board: the experiments.
        table: of them.
        record: the board under `boards` of `leaderboard.json`.
        leaderboard: the content of `leaderboard.json`.
        with_texts: whether texts of the data are among it.
    """
    rows = of_board(leaderboard, "rows", record["board"])
    runs = runs_table(board, record, rows)
    return {
        "title": f"{record['task_type']} of {record['output_column']}",
        "metric": record["metric"],
        "verdict": [*verdict_lines(record), *worst_slice_lines(record)],
        "labels": record["labels"],
        "warnings": record["warnings"],
        "marks": [*mark_lines(record)],
        "notes": [*statistics_lines(record), *cost_lines(record)],
        "constants": [list(pair) for pair in table.constants],
        "groups": groups_table(board, record, rows).record(),
        "runs": None if runs is None else runs.record(),
        "charts": [{"name": one.name, "title": one.title, "spec": one.spec} for one in board_charts(record)],
        "numbers": [
            part if isinstance(part, str) else {"headers": list(part.headers), "rows": list(map(list, part.rows))}
            for part in (*effect_sections(record), *slice_sections(record), *label_sections(record))
        ],
        "baselines": [
            [one["title"], {name: short(value) for name, value in one["results"].items()}]
            for one in of_board(leaderboard, "baselines", record["board"])
        ],
        "suspects": _suspects(board) if with_texts else None,
        "left_out": _left_out(of_board(leaderboard, "baselines_left_out", record["board"])),
    }


def _suspects(board: Board) -> dict[str, Any] | None:
    """The rows whose gold may be wrong; nothing without statistics, labels or such rows."""
    found = None if board.statistics is None else suspects(board.groups)
    if found is None or not found.rows:
        return None
    return {
        "n": len(found.rows),
        "lines": list(suspect_lines(found)),
        "headers": ["row", "text", "gold", "said", "how sure", "of gold"],
        "rows": [
            [
                "" if row.source_index is None else str(row.source_index),
                both_ends(row.text, TEXT),
                row.gold,
                ", ".join(label for label, _ in row.said),
                f"{row.probability:.3f}",
                f"{row.gold_probability:.3f}",
            ]
            for row in found.rows[:_MOST_SUSPECTS]
        ],
    }


def board_charts(record: Record) -> list[Chart]:
    """The charts of a board in `leaderboard.json`."""
    metric = arrowed({**record, "metric": tested_metric(record)})
    single = [
        effects_chart(record["effects"], metric),
        learning_curve_chart(record["learning_curves"], metric),
    ]
    return [*(one for one in single if one is not None), *pareto_charts(record["pareto"])]


def tested_metric(record: Record) -> str:
    """The board's metric on test rows."""
    return str(record["metric"] or "").removeprefix(DEV)


def _left_out(items: Sequence[Record]) -> list[str]:
    """Why baselines are missing, each reason once."""
    shots: dict[tuple[str, str], list[str]] = {}
    for item in items:
        shots.setdefault((item["name"], item["reason"]), []).append(str(item["shots"]))
    return [f"{name} of shots {', '.join(own)} left out: {reason}" for (name, reason), own in shots.items()]
