"""`leaderboard.md`: one table per board, for people."""

import re
from collections.abc import Sequence

from sft.reporting.board import Board, Leaderboard
from sft.reporting.collect import ExperimentRecord
from sft.reporting.formats.columns import NOT_APPLICABLE, columns, constants
from sft.reporting.formats.effect_tables import EffectTable, effect_sections
from sft.reporting.formats.group_table import group_cells, group_headers, statistics_lines
from sft.reporting.formats.json import board_record
from sft.reporting.formats.report_format import ReportFormat
from sft.reporting.records import Baselines

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKS = re.compile(r"[\\`*_\[\]|~$]")


def render(leaderboard: Leaderboard) -> str:
    """The whole page; also of a leaderboard without any row."""
    parts = ["# Leaderboard"]
    if not leaderboard.boards:
        parts.append("No experiment has a result yet.")
    for number, board in enumerate(leaderboard.boards, 1):
        parts += _board(board, number if len(leaderboard.boards) > 1 else None)
        parts += _baselines(board, leaderboard.baselines)
    if leaderboard.without_result:
        parts += ["## Without a result", _states(leaderboard.without_result)]
    if leaderboard.others:
        parts += ["## Not in this grid", _states(leaderboard.others)]
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


def _board(board: Board, number: int | None) -> list[str]:
    title = f"{board.task_type} of {board.output_column}"
    heading = f"## {escaped(title)}" if number is None else f"## Board {number}: {escaped(title)}"
    parts = [heading, _ranking_line(board)]
    parts += [f"**Note:** {escaped(warning)}." for warning in board.warnings]
    constant = constants(board)
    if constant:
        listed = ", ".join(f"{escaped(name)} = {escaped(value)}" for name, value in constant)
        parts.append(f"The same in all rows: {listed}.")
    parts += _groups(board)
    shown = columns(board)
    rows = [[escaped(column.value(row)) for column in shown] for row in board.rows]
    parts.append(_table([escaped(column.header) for column in shown], rows))
    return parts


def _baselines(board: Board, baselines: Baselines) -> list[str]:
    """What stands below a board's table: baselines on the same shots and rows, without a rank."""
    found = baselines.of(board.id)
    parts = []
    if found:
        metrics = list(dict.fromkeys(metric for baseline in found for metric in baseline.results))
        metrics.sort(key=lambda metric: metric != board.metric)
        rows = [[baseline.title, *(_number(baseline.results.get(metric)) for metric in metrics)] for baseline in found]
        headers = ["baseline", *(escaped(metric) for metric in metrics)]
        parts += ["Baselines on the same shots and evaluated rows, not ranked:", _table(headers, rows)]
    for item in baselines.left_out_of(board.id):
        text = f"{item.name} of shots {item.shots} left out: {item.reason}"
        parts.append(f"**Note:** {escaped(text)}.")
    return parts


def _number(value: float | None) -> str:
    return NOT_APPLICABLE if value is None else f"{value:.4f}"


def _groups(board: Board) -> list[str]:
    """The groups, and what their numbers are; nothing where no number ranks."""
    if board.metric is None or not board.groups:
        return []
    record = board_record(board)
    rows = [[escaped(cell) for cell in group_cells(group, record)] for group in record["groups"]]
    lines = [f"{escaped(line)}." for line in statistics_lines(record)]
    table = _table([escaped(header) for header in group_headers(record)], rows)
    effects = [escaped(part) if isinstance(part, str) else _effect_table(part) for part in effect_sections(record)]
    return [table, *lines, *effects, "Every experiment:"]


def _effect_table(table: EffectTable) -> str:
    return _table(
        [escaped(header) for header in table.headers], [[escaped(cell) for cell in row] for row in table.rows]
    )


def _ranking_line(board: Board) -> str:
    if board.metric is None:
        return "Not ranked: the first experiment has no metric."
    labels = (
        "" if board.labels is None else f" Labels: {', '.join(escaped(label) or '(empty)' for label in board.labels)}."
    )
    count = "1 row" if len(board.rows) == 1 else f"{len(board.rows)} rows"
    better = "higher" if board.higher_is_better else "lower"
    return f"Ranked by {escaped(board.metric)} ({better} is better), {count}.{labels}"


def _states(records: Sequence[ExperimentRecord]) -> str:
    rows = [
        [
            escaped(record.name),
            record.id[:8],
            record.state,
            record.error.stage or NOT_APPLICABLE if record.error else NOT_APPLICABLE,
            record.error.kind if record.error else NOT_APPLICABLE,
            escaped(record.error.message) if record.error else NOT_APPLICABLE,
        ]
        for record in records
    ]
    return _table(["experiment", "id", "state", "stage", "kind", "reason"], rows)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    import pandas

    frame = pandas.DataFrame(rows, columns=list(headers), dtype=object)
    text: str = frame.to_markdown(index=False, disable_numparse=True)
    return text


FORMAT = ReportFormat(ending="md", render=render)
