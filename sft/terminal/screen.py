"""Lines and tables for whatever is written to: they fit a terminal's width, and lose nothing where there is none."""

import io
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.table import Table
from rich.text import Text

LEADER = "bold"

BEST = "bold green"

FAINT = "dim"

WARNING = "yellow"

GAP = 2
"""Columns between two columns of a table."""

_UNBOUNDED = 100_000

_BREAK_AFTER = re.compile(r"[^\s/._-]*[\s/._-]?")

_PARTS = re.compile(r"[^/]*/?")
"""Of a name."""

_NAME_LINES = 2
_LEAST_CUT = 3
"""Columns for an ellipsis and both ends of a name; with fewer it is folded anywhere."""

MISSING = "n/a"


def wants_colour(stream: TextIO) -> bool:
    """Whether what is written there may be in colour: a terminal that can, and NO_COLOR is not set."""
    console = Console(file=stream)
    return console.is_terminal and not console.is_dumb_terminal and not console.no_color


Parts = list[Table | Text]
"""What is shown, one part below the other."""


@dataclass(frozen=True)
class Screen:
    """What text is made for.

    Attributes:
        width: columns of the terminal; None where there is none, and every line is as long as it is.
        colour: whether colours are understood and wanted.
    """

    width: int | None = None
    colour: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        header: above it.
        cells: from the top; control characters and markup in them are shown, never interpreted.
        least: to how many characters its texts may be folded; None: never, it holds numbers and stands on the right.
        is_name: whether its texts are names: they are broken after slashes alone, and cut in the middle where that is
            not enough, unless two of them would look alike.
        cut_at: longest text, what is longer ends in an ellipsis there or where the room ends, and is not folded.
        leaves: 0 stays; of the others the highest is left out first where there is no room, of equals the last.
        styles: row -> style of its cell.
    """

    header: str
    cells: Sequence[str]
    least: int | None = None
    cut_at: int | None = None
    is_name: bool = False
    leaves: int = 0
    styles: Mapping[int, str] = field(default_factory=dict)

    @property
    def natural(self) -> int:
        """How wide it is where there is room."""
        wide = max((cell_len(shown(text)) for text in (self.header, *self.cells)), default=0)
        return wide if self.cut_at is None else min(wide, max(self.cut_at, cell_len(self.header)))

    @property
    def narrowest(self) -> int:
        """How wide it has to be."""
        return self.natural if self.least is None else min(self.natural, self.least)


def screen_of(stream: TextIO) -> Screen:
    """What a stream leads to."""
    return Screen(shutil.get_terminal_size().columns if stream.isatty() else None, wants_colour(stream))


def shown(text: str) -> str:
    """The text on one line, without anything that would steer a terminal."""
    return visible(text).replace("\n", "\\n")


def line(text: str, style: str = "") -> Text:
    """A line; what steers terminals and rich markup stand in it as text."""
    return Text(shown(text), style=style)


def folded(text: str, screen: Screen, indent: int = 0) -> list[str]:
    """A text as lines that have room, broken between words; whole where there is no terminal."""
    whole = shown(text)
    return [whole] if screen.width is None else _folded(whole, max(screen.width - indent, 1))


def table(
    columns: Sequence[Column], screen: Screen, row_styles: Mapping[int, str] | None = None
) -> list[Table | Text]:
    """A table, and below it a line that names the columns for which there was no room.

    Args:
        columns: of equal length, from the left.
        screen: what it is made for.
        row_styles: row -> style of all its cells.
    """
    kept = fitting(columns, screen)
    widths = _widths(kept, screen.width)
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column, width in zip(kept, widths, strict=True):
        justify: Any = "right" if column.least is None else "left"
        header = "\n".join(_folded(shown(column.header), width))
        drawn.add_column(Text(header), justify=justify, width=width, overflow="fold", vertical="top")
    cells = [_cells(column, width) for column, width in zip(kept, widths, strict=True)]
    for row, texts in enumerate(zip(*cells, strict=True)):
        drawn.add_row(*texts, style=(row_styles or {}).get(row))
    missing = [column.header for column in columns if column not in kept]
    return [drawn, *([line(f"No room at this width for: {', '.join(missing)}", FAINT)] if missing else [])]


def drawn(parts: Sequence[Table | Text], screen: Screen) -> str:
    """The parts below each other, without spaces at the ends of lines."""
    system: Any = "standard" if screen.colour else None
    console = Console(
        file=io.StringIO(),
        force_terminal=screen.colour,
        color_system=system,
        no_color=not screen.colour,
        width=screen.width or _UNBOUNDED,
        legacy_windows=False,
    )
    with console.capture() as captured:
        for part in parts:
            console.print(part, highlight=False, soft_wrap=screen.width is None and isinstance(part, Text))
    return "\n".join(text.rstrip() for text in captured.get().split("\n")).rstrip("\n")


def fitting(columns: Sequence[Column], screen: Screen) -> list[Column]:
    """The columns for which there is room."""
    kept = list(columns)
    while screen.width is not None and sum(column.narrowest + GAP for column in kept) - GAP > screen.width:
        last = max(reversed(kept), key=lambda column: column.leaves)
        if last.leaves == 0:
            break
        kept.remove(last)
    return kept


def _widths(columns: Sequence[Column], width: int | None) -> list[int]:
    """Natural widths where there is room; else texts share what numbers leave, the narrow ones first."""
    widths = [column.natural for column in columns]
    if width is None or sum(widths) + GAP * (len(widths) - 1) <= width:
        return widths
    texts = [place for place, column in enumerate(columns) if column.least is not None]
    free = width - GAP * (len(widths) - 1) - sum(widths[place] for place in range(len(widths)) if place not in texts)
    for number, place in enumerate(sorted(texts, key=lambda place: widths[place])):
        share = max(free // (len(texts) - number), min(columns[place].narrowest, free))
        widths[place] = max(1, min(widths[place], share))
        free -= widths[place]
    return widths


def _cells(column: Column, width: int) -> list[Text]:
    texts = [shown(cell) for cell in column.cells]
    if column.is_name:
        texts = _names(texts, width)
    elif column.least is not None and column.cut_at is None:
        texts = ["\n".join(_folded(text, width)) for text in texts]
    cells = [Text(text, style=column.styles.get(row, "")) for row, text in enumerate(texts)]
    if column.cut_at is not None:
        for cell in cells:
            cell.truncate(width, overflow="ellipsis")
    return cells


def _folded(text: str, width: int) -> list[str]:
    """Lines of at most that width, broken where a name or sentence has a joint, else anywhere."""
    return _packed((piece for part in _BREAK_AFTER.findall(text) for piece in chop_cells(part, width)), width)


def _packed(pieces: Iterable[str], width: int) -> list[str]:
    """Pieces that are no longer than the width, as many on a line as it takes."""
    lines = [""]
    for piece in pieces:
        if cell_len(lines[-1] + piece) <= width:
            lines[-1] += piece
        else:
            lines.append(piece)
    return [found for found in lines if found.strip()]


def _names(names: Sequence[str], width: int) -> list[str]:
    """Each name in two lines at most, whole where another one would look the same."""
    short = {name: "\n".join(_short_name(name, width)) for name in names}
    looks = Counter(short.values())
    return [short[name] if looks[short[name]] == 1 else "\n".join(_folded(name, width)) for name in names]


def _short_name(name: str, width: int) -> list[str]:
    parts = [_cut_in_the_middle(part, width) for part in _PARTS.findall(name)]
    lines = _packed(parts, width)
    if len(lines) <= _NAME_LINES:
        return lines
    head = lines[0] if cell_len(lines[0]) < width else chop_cells(lines[0], width - 1)[0]
    tail = _packed([part[::-1] for part in reversed(parts)], width)[0][::-1]
    return [f"{head}…", tail]


def _cut_in_the_middle(text: str, width: int) -> str:
    """The text with both of its ends."""
    if cell_len(text) <= width or width < _LEAST_CUT:
        return text
    end = chop_cells(text[::-1], width // 2)[0][::-1]
    return f"{chop_cells(text, width - 1 - width // 2)[0]}…{end}"


def visible(text: str) -> str:
    r"""The text with everything that cannot be seen, or would steer a terminal, as an escape such as `\x1b`.

    Line breaks stay.
    """
    return "".join(
        character if character == "\n" or character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many digits."""
    return MISSING if value is None else f"{value:.{digits}f}"


def best_cells(values: Sequence[float | None], *, higher: bool | None) -> Mapping[int, str]:
    """Row -> style of the best values of a result; none where all are equal or it has no better side.

    Args:
        values: from the top.
        higher: whether more is better; None where nothing says.
    """
    known = [value for value in values if value is not None]
    if len(set(known)) < 2 or higher is None:
        return {}
    best = max(known) if higher else min(known)
    return {row: BEST for row, value in enumerate(values) if value == best}
