"""`leaderboard.csv`: one row per experiment, for spreadsheets.

The columns are those of `sft.results`. Numbers are written with all their digits, missing values as empty cells,
lists and maps as JSON. A text that a spreadsheet would run as a formula gets an apostrophe in front; a number never
does, so that -0.5 stays one.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sft.reporting.flat import flat_rows
from sft.reporting.formats.report_format import Report, ReportFormat
from sft.wording import spreadsheet_text

_FIRST = ("rank", "board", "name", "set_up", "set_up_rank", "mark", "provisional", "id", "state", "seed", "error")


def render(report: Report) -> str:
    """The whole file: a header, then the boards' rows best first, then the rows without a result."""
    rows = list(flat_rows(report.record))
    return csv_text(dict.fromkeys([*_FIRST, *(column for row in rows for column in row)]), rows)


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A header and the rows as a spreadsheet may open them.

    Args:
        columns: their names in order.
        rows: cells by column; one that a row lacks is empty.
    """
    columns, text = list(columns), io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # with "\n" alone a cell that holds "\r" is not quoted
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return spreadsheet_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)  # the same as JSON's, and thousands of rows have a million of them
    return json.dumps(value)


FORMAT = ReportFormat(ending="csv", render=render)
