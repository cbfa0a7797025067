"""`sft errors`: wrong rows with their texts, one below the other."""

from collections.abc import Iterator

from rich.text import Text

from sft.leaderboard.details.details import WrongRow, word_f1
from sft.leaderboard.details.error_list import ErrorList
from sft.leaderboard.details.suspects import SuspectList
from sft.reporting.tables.suspects import suspect_lines
from sft.runs.files import ID_DIGITS
from sft.terminal.screen import FAINT, LEADER, Parts, Screen, drawn, folded, line
from sft.wording import both_ends, counted

SHOWN = 10
"""Rows, unless the user says how many."""
_INDENT = "    "
_MOST = 400
"""Characters of a text; the files have all of them."""
_NO_TEXTS = "The predictions keep no input column (`dataset.keep_columns`): no texts."


def error_text(found: ErrorList, limit: int, screen: Screen) -> str:
    """The first of the wrong rows.

    Args:
        found: the wrong rows that were asked for.
        limit: at most so many of them.
        screen: what it is made for.
    """
    parts: Parts = [line(text, LEADER) for text in folded(_head(found, limit), screen)]
    if found.rows and not found.has_texts:
        parts.append(line(_NO_TEXTS, FAINT))
    for row in found.rows[:limit]:
        parts += [Text(), *_row(row, found, screen)]
    return drawn(parts, screen)


def suspect_text(found: SuspectList, limit: int, screen: Screen) -> str:
    """The first of the rows whose gold may be wrong.

    Args:
        found: the rows.
        limit: at most so many of them.
        screen: what it is made for.
    """
    head = [*suspect_lines(found), *([f"{limit} are shown."] if len(found.rows) > limit else [])]
    parts: Parts = [line(text, LEADER) for text in folded(" ".join(head), screen)]
    if found.rows and not found.has_texts:
        parts.append(line(_NO_TEXTS, FAINT))
    for row in found.rows[:limit]:
        where = f"row {row.source_index}" if row.source_index is not None else f"evaluated row {row.index}"
        said = ", ".join(f"{label} ({runs})" if len(row.said) > 1 else label for label, runs in row.said)
        sure = f"{row.probability:.3f} sure, gold {row.gold_probability:.3f}"
        parts.append(Text())
        parts += [line(text) for text in folded(f"{where}: gold {row.gold}, said {said} ({sure})", screen)]
        parts += indented(row.text, screen)
    return drawn(parts, screen)


def _head(found: ErrorList, limit: int) -> str:
    """How many there are, and which of them are shown."""
    named = f"{found.name} [{found.id[:ID_DIGITS]}]"
    shown = f", {limit} shown" if len(found.rows) > limit else ""
    if found.scored_by is not None:
        return f"{named}: {counted(found.n_rows, f'{found.split} row')}; the worst {found.scored_by} first{shown}."
    wrong = f"{named}: {found.n_wrong} of {counted(found.n_rows, f'{found.split} row')} wrong"
    if len(found.rows) != found.n_wrong:
        wrong += f", {len(found.rows)} of them as asked"
    if not found.rows:
        return f"{wrong}."
    order = "the least probable gold label first" if found.has_labels else "the fewest shared words first"
    return f"{wrong}; {order}{shown}."


def _row(row: WrongRow, found: ErrorList, screen: Screen) -> Iterator[Text]:
    where = f"row {row.source_index}" if row.source_index is not None else f"evaluated row {row.index}"
    if found.scored_by is not None:
        yield line(f"{where}: {found.scored_by} {row.prediction}")
        yield from indented(row.gold, screen)
    elif found.has_labels:
        likeliest = ", ".join(f"{label} {value:.3f}" for label, value in row.probabilities)
        told = f"{where}: gold {row.gold}, said {row.prediction} ({likeliest})"
        yield from (line(text) for text in folded(told, screen))
        yield from indented(row.text, screen)
    else:
        yield line(f"{where}: {word_f1(row.prediction, row.gold):.2f} of the words shared (F1)")
        yield from indented(f"gold: {row.gold}", screen)
        yield from indented(f"said: {row.prediction}", screen)
        yield from indented(f"text: {row.text}", screen)


def indented(text: str, screen: Screen) -> Iterator[Text]:
    """A text of the data below what is said of its row, whole or with both of its ends."""
    for part in both_ends(text, _MOST).split("\n"):
        yield from (line(f"{_INDENT}{piece}", FAINT) for piece in folded(part, screen, len(_INDENT)))
