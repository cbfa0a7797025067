"""Sheets of spreadsheets to tables, whose cells are texts. `python-calamine` is imported when one is read."""

import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sft.data.files.dialects import without_unnamed
from sft.data.tables import ListColumn, ReadTable, Table
from sft.exceptions import DataError, PackageMissing
from sft.wording import listed, quoted

EXACT_BELOW = 2.0**53


class Sheet(NamedTuple):
    """The sheet of a workbook that is read."""

    name: str
    others: tuple[str, ...]
    """Further visible sheets that have cells."""

    table: Table


def read_spreadsheet(path: Path, sheet: str | None, *, takes_first: bool = False) -> Sheet:
    """The rows of one sheet: its first row with cells is the header, rows without any are left out.

    A cell is text as it is typed. A number has no trailing `.0`, a date is ISO text, a truth value TRUE or FALSE; a
    formula is its value, and one that ended in an error is empty.

    Args:
        path: an .xlsx or .xlsb file.
        sheet: `dataset.read.sheet`; None = the one with cells.
        takes_first: without `sheet`, take the first of several with cells.

    Raises:
        DataError: the file is broken; no sheet of that name, or several and none is named; no cells, or columns with
            cells and no name.
        PackageMissing: `python-calamine` is not installed.
    """
    try:
        import python_calamine as calamine
    except ImportError:
        raise PackageMissing(
            "python-calamine", f"the spreadsheet {path.name}", "pip install 'sft-grid[xlsx]'"
        ) from None
    try:
        with calamine.CalamineWorkbook.from_path(path) as workbook:
            return _read(path, workbook, sheet, takes_first)
    except calamine.PasswordError:
        raise DataError(f"{path.name}: the spreadsheet is encrypted; save it without a password") from None
    except (calamine.CalamineError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path.name}: not a spreadsheet that can be read ({reason}); open it in a spreadsheet program and save "
            "it as .xlsx or csv"
        ) from None


def _read(path: Path, workbook: Any, wanted: str | None, takes_first: bool) -> Sheet:
    names: list[str] = workbook.sheet_names
    if wanted is not None and wanted not in names:
        raise DataError(f"dataset.read.sheet: {path.name} has no sheet {quoted(wanted)}; sheets: {listed(names)}")
    visible = [about.name for about in workbook.sheets_metadata if str(about.visible).endswith("Visible")]
    filled = [name for name in visible if workbook.get_sheet_by_name(name).total_height > 0]
    if wanted is None and not filled:
        raise DataError(f"{path.name}: no sheet has cells; sheets: {listed(names)}")
    if wanted is None and len(filled) > 1 and not takes_first:
        raise DataError(
            f"{path.name}: several sheets have cells ({listed(filled)}); choose with dataset.read: "
            f"{{sheet: {quoted(filled[0])}}}"
        )
    name = wanted or filled[0]
    cells = workbook.get_sheet_by_name(name)
    first_row = 1 if cells.start is None else cells.start[0] + 1
    first_column = 0 if cells.start is None else cells.start[1]
    table = _table(f"{path.name}, sheet {quoted(name)}", cells.to_python(), first_row, first_column)
    return Sheet(name, tuple(other for other in filled if other != name), table)


def _table(place: str, rows: Sequence[Sequence[Any]], first_row: int, first_column: int) -> Table:
    """Args: first_row, first_column: where the cells begin in the sheet; rows count from 1, columns from 0."""
    texts = [[_text(value) for value in row] for row in rows]
    filled = [(number, row) for number, row in enumerate(texts, start=first_row) if any(row)]
    if not filled:
        raise DataError(f"{place}: there are no cells")
    (header_row, header), *body = filled
    names = without_unnamed(header)
    for number, row in body:
        for column, cell in enumerate(row):
            if cell and not (header[column] or ""):
                raise DataError(
                    f"{place}: column {_letters(first_column + column)} has a cell in row {number} and no name in the "
                    f"header, which is row {header_row}, the first with cells; name it there, or delete what is above "
                    "the header or beside the table"
                )
    kept = [(column, name) for column, name in enumerate(names) if name]
    twice = sorted({name for _, name in kept if names.count(name) > 1})
    if twice:
        raise DataError(f"{place}: the header has columns twice: {listed(map(quoted, twice))}; give each its own name")
    columns = {name: ListColumn([row[column] or None for _, row in body]) for column, name in kept}
    return ReadTable(len(body), columns)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and math.fabs(value) < EXACT_BELOW:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _hours(value)
    return "" if value is None else str(value)


def _hours(span: timedelta) -> str:
    """A span as spreadsheets show it, its hours not cut into days: 30:00:00."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _letters(column: int) -> str:
    """The name of a column by its number from 0: A, B, ..., Z, AA."""
    letters = ""
    while column >= 0:
        column, rest = divmod(column, 26)
        letters = chr(ord("A") + rest) + letters
        column -= 1
    return letters
