"""`leaderboard.md`: one table per board, for people."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sft.evaluation.selection import DEV
from sft.reporting.formats.report_format import Report, ReportFormat, of_board
from sft.reporting.tables.columns import NOT_APPLICABLE, BoardTable, number_text
from sft.reporting.tables.costs import COSTS, cost_lines
from sft.reporting.tables.effects import effect_sections
from sft.reporting.tables.groups import group_cells, group_headers, statistics_lines
from sft.reporting.tables.labels import label_sections
from sft.reporting.tables.marks import mark_lines, verdict_lines
from sft.reporting.tables.slices import slice_sections
from sft.runs.files import ID_DIGITS
from sft.wording import counted

Record = Mapping[str, Any]

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = re.compile(r"[\\`*_\[\]|~$]")


def render(report: Report) -> str:
    """The whole page; also of a leaderboard without any row."""
    record, boards = report.record, report.leaderboard.boards
    parts = ["# Leaderboard"]
    if not boards:
        parts.append("No experiment has a result yet.")
    for number, (table, found) in enumerate(zip(report.tables, record["boards"], strict=True), 1):
        parts += _board(table, found, number if len(boards) > 1 else None)
        parts += _baselines(found, record)
    without_result = [row for row in record["rows"] if row["board"] is None]
    if without_result:
        parts += ["## Without a result", _states(without_result)]
    if record["others"]:
        parts += ["## Not in this grid", _states(record["others"])]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line, inside a table too."""
    line = " ".join(re.split(r"[\s\x00-\x1f\x7f-\x9f]+", text.strip()))
    html = "".join(_HTML.get(character, character) for character in line)
    marked = _MARKS.sub(lambda match: _mark(match, html), html)
    return marked.encode("utf-8", "backslashreplace").decode("utf-8")


def _mark(match: re.Match[str], text: str) -> str:
    """A mark with a backslash; an underscore between letters or digits means nothing and stays."""
    around = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    return match[0] if match[0] == "_" and len(around) == 2 and around.isalnum() else f"\\{match[0]}"


def _board(table: BoardTable, record: Record, number: int | None) -> list[str]:
    title = f"{record['task_type']} of {record['output_column']}"
    heading = f"## {escaped(title)}" if number is None else f"## Board {number}: {escaped(title)}"
    parts = [heading, *map(escaped, verdict_lines(record)), _ranking_line(record)]
    parts += [f"**Note:** {escaped(warning)}." for warning in record["warnings"]]
    if table.constants:
        listed = ", ".join(f"{escaped(name)} = {escaped(value)}" for name, value in table.constants)
        parts.append(f"The same in all rows: {listed}.")
    parts += _groups(record)
    parts.append(_escaped_table(table.headers, table.cells))
    return parts


def _baselines(board: Record, record: Record) -> list[str]:
    """What stands below a board's table: baselines on the same shots and rows, without a rank."""
    found = of_board(record, "baselines", board["board"])
    parts = []
    if found:
        metrics = list(dict.fromkeys(metric for baseline in found for metric in baseline["results"]))
        metrics.sort(key=lambda metric: metric != board["metric"])
        rows = [
            [one["title"], *(number_text(one["results"].get(metric), ".4f") for metric in metrics)] for one in found
        ]
        headers = ["baseline", *(escaped(metric) for metric in metrics)]
        parts += ["Baselines on the same shots and evaluated rows, not ranked:", _table(headers, rows)]
    for item in of_board(record, "baselines_left_out", board["board"]):
        text = f"{item['name']} of shots {item['shots']} left out: {item['reason']}"
        parts.append(f"**Note:** {escaped(text)}.")
    return parts


def _groups(record: Record) -> list[str]:
    """The groups, and what their numbers are; nothing where no number ranks."""
    if record["metric"] is None or not record["groups"]:
        return []
    rows = [group_cells(group, record) for group in record["groups"]]
    lines = [f"{escaped(line)}." for line in (*mark_lines(record), *statistics_lines(record))]
    cost_rows = [[group["name"], *(cost.text(group["costs"]) for cost in COSTS)] for group in record["groups"]]
    costs = [
        *(f"{escaped(line)}." for line in cost_lines(record)),
        _escaped_table(["set-up", *(cost.title for cost in COSTS)], cost_rows),
    ]
    effects = [
        escaped(part) if isinstance(part, str) else _escaped_table(part.headers, part.rows)
        for part in (*effect_sections(record), *slice_sections(record), *label_sections(record))
    ]
    return [_escaped_table(group_headers(record), rows), *lines, *costs, *effects, "Every experiment:"]


def _ranking_line(record: Record) -> str:
    metric, labels = record["metric"], record["labels"]
    if metric is None:
        return "Not ranked: the first experiment has no metric."
    named = "" if labels is None else f" Labels: {', '.join(escaped(label) or '(empty)' for label in labels)}."
    better = "higher" if record["higher_is_better"] else "lower"
    rows = "dev rows" if metric.startswith(DEV) else "test rows"
    count = counted(len(record["ranking"]), "experiment")
    return f"Ranked by {escaped(metric)} on {rows} ({better} is better), {count}.{named}"


def _states(rows: Sequence[Record]) -> str:
    cells = [[escaped(row["name"]), row["id"][:ID_DIGITS], row["state"], *_error(row["error"])] for row in rows]
    return _table(["experiment", "id", "state", "stage", "kind", "reason"], cells)


def _error(error: Record | None) -> list[str]:
    """One cell for each of stage, kind and reason."""
    if error is None:
        return [NOT_APPLICABLE] * 3
    return [error["stage"] or NOT_APPLICABLE, error["kind"], escaped(error["message"])]


def _escaped_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return _table([escaped(header) for header in headers], [[escaped(cell) for cell in row] for row in rows])


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    import pandas

    frame = pandas.DataFrame(rows, columns=list(headers), dtype=object)
    text: str = frame.to_markdown(index=False, disable_numparse=True)
    return text


FORMAT = ReportFormat(ending="md", render=render)
