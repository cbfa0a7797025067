"""`leaderboard.html`: data, style, script and libraries in one page that opens without a network."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from sft.reporting.charts.theme import DARK, LIGHT, theme
from sft.reporting.flat import all_storable
from sft.reporting.formats.report_format import Report, ReportFormat
from sft.reporting.page.boards import page_board
from sft.reporting.page.experiments import experiments_record, templates

_FOLDER = "sft.reporting.page"
LIBRARIES = ("vega.min.js", "vega-lite.min.js")
SCRIPTS = ("elements.js", "charts.js", "table.js", "details.js", "page.js")
_MOST_UNFINISHED = 200


def page_text(report: Report) -> str:
    """The whole file."""
    return filled(data_text(page_data(report)))


def data_text(data: dict[str, Any]) -> str:
    """The data as they stand in the page: JSON in which nothing can end the element that holds it."""
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def filled(data: str) -> str:
    """The page with its style, libraries and script around the data."""
    parts = {
        "{{style}}": _asset("page.css"),
        "{{data}}": data,
        "{{libraries}}": "\n".join(f"<script>{_library(name)}</script>" for name in LIBRARIES),
        "{{script}}": "\n".join(map(_asset, SCRIPTS)),
    }
    text = _asset("page.html")
    return "".join(parts.get(piece, piece) for piece in re.split(r"({{\w+}})", text))


def page_data(report: Report) -> dict[str, Any]:
    """What the page shows, as JSON can hold it."""
    record, leaderboard = report.record, report.leaderboard
    unfinished = [row for row in record["rows"] if row["board"] is None]
    boards = zip(leaderboard.boards, report.tables, record["boards"], strict=True)
    texts = leaderboard.with_texts
    found = {
        "done": len(record["rows"]) - len(unfinished),
        "states": dict(Counter(row["state"] for row in unfinished)),
        "boards": [page_board(board, table, own, record, with_texts=texts) for board, table, own in boards],
        "experiments": experiments_record(leaderboard.boards, with_texts=texts),
        "unfinished": _unfinished(unfinished, with_texts=texts),
        "others": len(record["others"]),
        "templates": templates(),
        "themes": {"light": theme(LIGHT), "dark": theme(DARK)},
        "texts": texts,
    }
    return {key: all_storable(value) for key, value in found.items()}


def _unfinished(rows: Sequence[Mapping[str, Any]], *, with_texts: bool) -> list[list[str]]:
    """[name, state, stage, kind, message] of the first experiments without a result."""
    return [
        [row["name"], row["state"], *_error(row["error"], with_texts=with_texts)] for row in rows[:_MOST_UNFINISHED]
    ]


def _error(error: Mapping[str, Any] | None, *, with_texts: bool) -> list[str]:
    """Why an experiment has no result; what is wrong with data may quote them."""
    if error is None:
        return ["", "", ""]
    message = error["message"] if with_texts or error["kind"] != "data" else "see leaderboard.md"
    return [error["stage"] or "", error["kind"], message]


def _asset(name: str) -> str:
    return (files(_FOLDER) / "assets" / name).read_text(encoding="utf-8")


def _library(name: str) -> str:
    """A library without its pointer to a source map, which would be fetched."""
    text = (files(_FOLDER) / "vendor" / name).read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL"))


FORMAT = ReportFormat(ending="html", render=page_text)
