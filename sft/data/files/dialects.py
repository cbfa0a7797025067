"""How the cells of a csv or tsv file are told apart: separator, quotes, and the `sep=` line of spreadsheets."""

import csv
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from sft.config.dataset import ReadOptions
from sft.exceptions import UserError

SEPARATORS = (",", ";", "\t", "|")
TAB = "\t"
TAB_SUFFIXES = (".tsv", ".tab")
QUOTE = '"'
LINE_BREAKS = ("\n", "\r")
SEPARATOR_LINE = re.compile(r'^"?sep=(?P<separator>[^\r\n])"?[,;|\t]*[\r\n]*$', re.IGNORECASE)
"""A first line that tells Excel the separator, and holds no cells."""


class Dialect(NamedTuple):
    """How the cells of a file are told apart."""

    separator: str
    quote: str
    """Empty = a quotation mark is text like any other."""

    n_skipped: int = 0
    """Lines before the header that hold no cells."""

    def reader(self, lines: Iterable[str]) -> Any:
        """The rows of all lines of a file, as `csv.reader` gives them; skipped lines are in no `line_num`."""
        csv.field_size_limit(sys.maxsize)  # the library's own limit of 131072 characters would refuse long documents
        quoting: dict[str, Any] = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE}
        return csv.reader(islice(lines, self.n_skipped, None), delimiter=self.separator, strict=True, **quoting)


def has_no_quoting(path: Path, read: ReadOptions) -> bool:
    """Whether a quotation mark is text in a csv or tsv file, because tabs separate it and `quote` is not written.

    The registered type text/tab-separated-values has no quoting, while csv quotes by doubling (RFC 4180).
    """
    separator = read.sep or (TAB if path.suffix.lower() in TAB_SUFFIXES else None)
    return read.quote is None and separator == TAB


def dialect_of(path: Path, lines: Callable[[], Iterable[str]], read: ReadOptions) -> Dialect:
    """The dialect of a csv or tsv file.

    The separator is the one that is written in the config, else that of the file's `sep=` line, else a tab by the
    file's name, else the one that the header has most of.

    Args:
        path: the file.
        lines: gives its lines, anew at each call.
        read: what the user wrote of separator and quote.

    Raises:
        UserError: separator and quote do not go together.
    """
    quote = "" if has_no_quoting(path, read) else QUOTE if read.quote is None else read.quote
    for key, value in (("sep", read.sep), ("quote", quote)):
        if value in LINE_BREAKS:
            raise UserError(f"dataset.read.{key}: {value!r} ends a line and can be nothing else")
    if quote and quote == read.sep:
        raise UserError(f"dataset.read: sep and quote are both {quote!r}; write another for one of them")
    told = SEPARATOR_LINE.match(next(iter(lines()), ""))
    n_skipped = 0 if told is None else 1
    separator = read.sep or (None if told is None else told["separator"])
    if separator is None and path.suffix.lower() in TAB_SUFFIXES:
        separator = TAB
    if separator is not None:
        return Dialect(separator, quote, n_skipped)
    possible = [Dialect(separator, quote) for separator in SEPARATORS if separator != quote]
    return max(possible, key=lambda dialect: _columns_of_header(lines(), dialect))


def _columns_of_header(lines: Iterable[str], dialect: Dialect) -> int:
    try:
        return len(next(dialect.reader(lines), []))
    except csv.Error:
        return 0


def without_unnamed(header: Sequence[str]) -> list[str]:
    """A header up to its last column with a name; behind it spreadsheets write separators for columns of no cells."""
    n_named = max((place for place, name in enumerate(header, start=1) if name), default=len(header))
    return list(header[:n_named])
