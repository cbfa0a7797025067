"""The charts of boards and of their best experiments as SVG files, for papers and slides."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sft.exceptions import MachineError, UserError
from sft.leaderboard.board import Board, best_run
from sft.leaderboard.details.details import experiment_details
from sft.reporting.charts.chart import Chart
from sft.reporting.charts.experiment_charts import confusion_chart, reliability_chart
from sft.reporting.charts.theme import LIGHT, theme
from sft.reporting.flat import all_storable
from sft.reporting.formats.report_format import Report
from sft.reporting.page.boards import board_charts
from sft.runs.atomic import write_text
from sft.runs.files import slug

WIDTH = 560
"""Pixels, where a chart on the page takes the width that there is."""
BEST_GROUPS = 10
"""So many set-ups of a board, the best ones, have figures of their own: of their best run."""
MOST_LABELS = 40
"""Of a confusion matrix; a larger one takes megabytes and cannot be read."""
VEGA_LITE = "6.1"
"""The newest grammar that the renderer knows."""


def require_figures(folder: Path) -> None:
    """Raise what would keep figures from being written there.

    Raises:
        UserError: it is a file.
        MachineError: the package that draws them is not installed.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--figures {folder}: is a file; name a folder, which is made where it is not there")
    if find_spec("vl_convert") is None:
        raise MachineError(
            "--figures needs the package vl-convert-python, which is not installed: pip install 'sft-grid[figures]'"
        )


def write_figures(report: Report, folder: Path) -> list[Path]:
    """Write the charts of every board, and return their files."""
    written = []
    boards = report.leaderboard.boards
    for number, (board, record) in enumerate(zip(boards, report.record["boards"], strict=True), 1):
        prefix = "" if len(boards) == 1 else f"board{number}-"
        for name, one in _charts(board, record):
            path = folder / f"{prefix}{name}.svg"
            write_text(path, svg(one))
            written.append(path)
    return written


def svg(chart: Chart) -> str:
    """A chart as the text of an SVG file, on white."""
    import vl_convert

    spec = all_storable(chart.spec | {"width": WIDTH, "title": chart.title})
    look = theme(LIGHT) | {"background": "white", "title": {"anchor": "start"}}
    text: str = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE, config=look)
    return text


def _charts(board: Board, record: Mapping[str, Any]) -> Iterator[tuple[str, Chart]]:
    """(file name, chart): of the board, then of its best set-ups."""
    yield from ((one.name, one) for one in board_charts(record))
    for group in board.groups[:BEST_GROUPS]:
        best = group.runs[0]
        details = experiment_details(best, best_run(board))
        matrix = details.confusion
        charts: Sequence[Chart | None] = (
            reliability_chart(details.reliability) if details.reliability else None,
            confusion_chart(matrix) if matrix is not None and len(matrix.labels) <= MOST_LABELS else None,
        )
        yield from ((f"{one.name}-{slug(group.name)}-{best.id[:8]}", one) for one in charts if one is not None)
