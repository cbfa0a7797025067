"""Csv and tsv files to tables.

Text stays text: there is no guessing of types and no list of words that mean "missing"; only the empty cell is.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from sft.config.dataset import ReadOptions
from sft.data.files.dialects import QUOTE, Dialect, dialect_of, has_no_quoting, without_unnamed
from sft.data.files.text_files import OddText, decoded, from_begin, is_plain, plain_file, text_lines
from sft.data.fingerprints import holds_byte
from sft.data.tables import ListColumn, ReadTable, Table
from sft.exceptions import DataError, UserError
from sft.wording import listed

BLOCK_ROWS = 512
"""So few that the rows of a block are gone before the garbage collector, which goes by their number, looks at them."""
WITHOUT_QUOTING = "dataset.read: {quote: ''}"
WITH_QUOTING = "dataset.read: {quote: '\"'}"


class _Record(NamedTuple):
    first_line: int
    last_line: int
    cells: list[str]


def read_csv(path: Path, read: ReadOptions) -> Table:
    """The rows of a csv or tsv file, quoted cells with their line breaks; an empty cell is None.

    Args:
        path: the file; by its name a tsv file has tabs, of others the separator is that which the header has most of.
        read: its encoding, and what the user wrote of separator and quote.

    Raises:
        UserError: separator and quote do not go together.
        DataError: the file is empty, a byte or quote is broken, or a line has other cells than the header.
    """
    table = _read_plain(path, read) if is_plain(read.encoding) else None
    return _read_decoded(path, decoded(path, read.encoding), read) if table is None else table


def csv_rows(path: Path, read: ReadOptions) -> Iterator[dict[str, str | None]]:
    """The rows that `read_csv` reads, one after the other, of a file that need not fit into memory.

    Raises:
        UserError, DataError: as `read_csv`.
    """
    try:
        with plain_file(path, read.encoding) as file:
            dialect = dialect_of(path, lambda: from_begin(file), read)
            header = _header(_records(path, from_begin(file), dialect))
            if not header:
                raise OddText
            columns = _columns(path, header, _records(path, from_begin(file), dialect))
            records = _records(path, from_begin(file), dialect)
            _header(records)  # they begin behind it
            for record in records:
                cells = _row(path, columns, record, dialect, len(header))
                yield {column: cell or None for column, cell in zip(columns, cells, strict=True)}
    except (OddText, UnicodeError, LookupError):
        _read_decoded(path, decoded(path, read.encoding), read)
        raise


def _read_decoded(path: Path, text: str, read: ReadOptions) -> Table:
    dialect = dialect_of(path, lambda: text_lines(text), read)
    records = _records(path, text_lines(text), dialect)
    header = _header(records)
    if not header:
        raise DataError(f"{path.name}: the file is empty")
    _check_names(path, without_unnamed(header))  # before a broken row is told
    kept = list(records)
    columns = _columns(path, header, kept)
    rows = [_row(path, columns, record, dialect, len(header)) for record in kept]
    cells = {column: ListColumn(cells) for column, cells in zip(columns, _by_column(columns, rows), strict=True)}
    return ReadTable(len(rows), cells, tuple(_remarks(path, kept, read, dialect)))


def _header(records: Iterator[_Record]) -> list[str]:
    """The cells of the first record that has any; spreadsheets write separators alone for rows without."""
    return next((record.cells for record in records if any(record.cells) or len(record.cells) == 1), [])


def _columns(path: Path, header: list[str], records: Iterable[_Record]) -> list[str]:
    """The columns of a header: without those at its end that have no name, where no record has a cell in them.

    Raises:
        DataError: they have not each its own name.
    """
    named = without_unnamed(header)
    if len(named) < len(header) and any(any(record.cells[len(named) : len(header)]) for record in records):
        named = header
    _check_names(path, named)
    return named


def _check_names(path: Path, columns: Sequence[str]) -> None:
    if len(set(columns)) == len(columns):
        return
    unnamed = [str(place) for place, name in enumerate(columns, start=1) if not name]
    if len(unnamed) > 1:
        raise DataError(
            f"{path.name}: columns {', '.join(unnamed)} have no name in the header, {listed(filter(None, columns))}; "
            "name them, or delete them where the cells below are not needed"
        )
    twice = sorted({column for column in columns if columns.count(column) > 1})
    raise DataError(f"{path.name}: the header has columns twice: {', '.join(map(repr, twice))}")


def _by_column(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str | None]]:
    if not rows:
        return [[] for _ in columns]
    by_column = zip(*rows, strict=True)
    return [[cell or None for cell in cells] if "" in cells else list(cells) for cells in by_column]


def _read_plain(path: Path, read: ReadOptions) -> Table | None:
    """As `_read_decoded`, faster and in little memory; None where a line or a byte is not as it must be."""
    try:
        with plain_file(path) as file:
            return _from_file(path, file, read)
    except (OddText, UserError, UnicodeDecodeError, OSError, csv.Error):  # told by `_read_decoded`: it knows the place
        return None


def _from_file(path: Path, file: TextIOWrapper, read: ReadOptions) -> Table:
    dialect = dialect_of(path, lambda: from_begin(file), read)
    reader = dialect.reader(from_begin(file))
    header: list[str] = next(filter(None, reader), [])
    named = without_unnamed(header)
    if not any(header) or len(set(named)) < len(named):
        raise OddText
    cells: list[list[str | None]] = [[] for _ in header]
    has_remarks = False
    for rows, n_lines in _blocks(reader):
        if set(map(len, rows)) - {len(header)}:
            raise OddText
        has_remarks = has_remarks or _may_have_remark(path, rows, n_lines, read, dialect)
        for own, new in zip(cells, _by_column(header, rows), strict=True):
            own.extend(new)
    if any(map(any, cells[len(named) :])):
        raise OddText
    records = islice(_records(path, from_begin(file), dialect), 1, None) if has_remarks else ()
    by_name = {column: ListColumn(own) for column, own in zip(named, cells, strict=False)}
    return ReadTable(len(cells[0]), by_name, tuple(_remarks(path, records, read, dialect)))


def _blocks(reader: Any) -> Iterator[tuple[list[list[str]], int]]:
    """Rows that are not blank, and how many lines they and the blank ones took."""
    before = reader.line_num
    while block := list(islice(reader, BLOCK_ROWS)):
        yield (block if all(block) else [row for row in block if row]), reader.line_num - before
        before = reader.line_num


def _may_have_remark(
    path: Path, rows: Sequence[Sequence[str]], n_lines: int, read: ReadOptions, dialect: Dialect
) -> bool:
    """Whether `_remarks` may find something in a block; a file of which none may is read but once."""
    if has_no_quoting(path, read):
        return holds_byte(path, QUOTE.encode()) and any(map(_looks_quoted, chain.from_iterable(rows)))
    return n_lines > len(rows) and any(_may_hide_rows(cell, dialect) for cell in chain.from_iterable(rows))


def _remarks(path: Path, records: Iterable[_Record], read: ReadOptions, dialect: Dialect) -> Iterator[str]:
    return _kept_marks(path, records) if has_no_quoting(path, read) else _spanning_cells(path, records, dialect)


def _records(path: Path, lines: Iterable[str], dialect: Dialect) -> Iterator[_Record]:
    """The lines that are not blank, or several that one quoted cell spans."""
    reader = dialect.reader(lines)
    start = 1 + dialect.n_skipped
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path.name} line {start}: {_broken_quote(error, dialect)}") from None
        if cells is None:
            return
        if cells:
            yield _Record(start, reader.line_num + dialect.n_skipped, cells)
        start = reader.line_num + dialect.n_skipped + 1


def _broken_quote(error: csv.Error, dialect: Dialect) -> str:
    """The module's own words are "unexpected end of data" and "',' expected after '\"'"."""
    if "end of data" in str(error):
        fault = f"a cell begins with {dialect.quote} and no {dialect.quote} closes it"
    elif "expected after" in str(error):
        fault = f"text stands after the {dialect.quote} that closes a cell"
    else:
        return f"not valid csv ({error})"
    return (
        f"{fault}; quotes in a quoted cell are doubled, and where all of them are text, read them so with "
        f"{WITHOUT_QUOTING}"
    )


def _row(path: Path, columns: Sequence[str], record: _Record, dialect: Dialect, n_header: int) -> list[str]:
    """The cells of the columns; `n_header` counts also those columns without a name that hold nothing."""
    n_cells = len(record.cells)
    if n_cells == len(columns):
        return record.cells
    if len(columns) < n_cells <= n_header:  # all are empty; spreadsheets leave some of them out in later rows
        return record.cells[: len(columns)]
    remedy = "quote cells that hold the separator, or set dataset.read: {sep: ...}"
    if not dialect.quote:
        remedy = f"take separators and line breaks out of cells, or where these are quoted, write {WITH_QUOTING}"
    place = f"line {record.first_line}"
    if record.last_line > record.first_line:
        place = f"lines {record.first_line} to {record.last_line}, joined by a quoted cell"
        remedy += f"; if quotes are text there, read them so with {WITHOUT_QUOTING}"
    raise DataError(
        f"{path.name} {place}: {n_cells} cells where the header has {len(columns)} "
        f"columns ({listed(columns)}); {remedy}"
    )


def _spanning_cells(path: Path, records: Iterable[_Record], dialect: Dialect) -> Iterator[str]:
    """Cells that may be rows: a quotation mark that opens a cell by mistake takes all in up to the next."""
    found = [
        record
        for record in records
        if record.last_line > record.first_line and any(_may_hide_rows(cell, dialect) for cell in record.cells)
    ]
    if found:
        first = found[0]
        yield (
            f"{path.name}: {_counted(len(found))} a cell that spans lines and holds the separator "
            f"{dialect.separator!r} (first: lines {first.first_line} to {first.last_line}); if quotes are text "
            f"there, rows are hidden in it: then read with {WITHOUT_QUOTING}"
        )


def _may_hide_rows(cell: str, dialect: Dialect) -> bool:
    return dialect.separator in cell and ("\n" in cell or "\r" in cell)


def _kept_marks(path: Path, records: Iterable[_Record]) -> Iterator[str]:
    """Cells of a tab-separated file that look quoted, as spreadsheets write them."""
    found = [record for record in records if any(_looks_quoted(cell) for cell in record.cells)]
    if found:
        yield (
            f"{path.name}: {_counted(len(found))} a cell between quotation marks (first: line {found[0].first_line}); "
            f"they are read as text, for tab-separated files have no quoting; if they are quotes as in csv, write "
            f"{WITH_QUOTING}"
        )


def _looks_quoted(cell: str) -> bool:
    inner = cell[1:-1].replace(2 * QUOTE, "")
    return len(cell) > 1 and cell[0] == cell[-1] == QUOTE and QUOTE not in inner


def _counted(number: int) -> str:
    return "1 row has" if number == 1 else f"{number} rows have"
