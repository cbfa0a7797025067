"""`leaderboard.html`: data, style, script and libraries in one page that opens without a network."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from sft.reporting.board import Leaderboard
from sft.reporting.charts.theme import DARK, LIGHT, theme
from sft.reporting.collect import ExperimentRecord
from sft.reporting.flat import all_storable
from sft.reporting.formats.report_format import ReportFormat
from sft.reporting.page.boards import page_board
from sft.reporting.page.experiments import experiments_record, templates

_FOLDER = "sft.reporting.page"
LIBRARIES = ("vega.min.js", "vega-lite.min.js")
SCRIPTS = ("elements.js", "charts.js", "table.js", "details.js", "page.js")
_MOST_UNFINISHED = 200


def page_text(leaderboard: Leaderboard) -> str:
    """The whole file."""
    return filled(data_text(page_data(leaderboard)))


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


def page_data(leaderboard: Leaderboard) -> dict[str, Any]:
    """What the page shows, as JSON can hold it."""
    boards = leaderboard.boards
    states = Counter(record.state for record in leaderboard.without_result)
    found = {
        "done": sum(len(board.rows) for board in boards),
        "states": dict(states),
        "boards": [page_board(board, leaderboard.baselines) for board in boards],
        "experiments": experiments_record(boards, with_texts=leaderboard.with_texts),
        "unfinished": _unfinished(leaderboard.without_result, with_texts=leaderboard.with_texts),
        "others": len(leaderboard.others),
        "templates": templates(),
        "themes": {"light": theme(LIGHT), "dark": theme(DARK)},
        "texts": leaderboard.with_texts,
    }
    return {key: all_storable(value) for key, value in found.items()}


def _unfinished(records: Sequence[ExperimentRecord], *, with_texts: bool) -> list[list[str]]:
    """[name, state, stage, kind, message] of the first experiments without a result."""
    return [
        [
            record.name,
            record.state,
            (record.error.stage or "") if record.error else "",
            record.error.kind if record.error else "",
            _message(record, with_texts=with_texts),
        ]
        for record in records[:_MOST_UNFINISHED]
    ]


def _message(record: ExperimentRecord, *, with_texts: bool) -> str:
    """Why an experiment has no result; what is wrong with data may quote them."""
    if record.error is None:
        return ""
    return record.error.message if with_texts or record.error.kind != "data" else "see leaderboard.md"


def _asset(name: str) -> str:
    return (files(_FOLDER) / "assets" / name).read_text(encoding="utf-8")


def _library(name: str) -> str:
    """A library without its pointer to a source map, which would be fetched."""
    text = (files(_FOLDER) / "vendor" / name).read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL"))


FORMAT = ReportFormat(ending="html", render=page_text)
