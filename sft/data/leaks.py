"""When two rows have the same input, and how many stand on both sides: seen with their answer, and measured on."""

from collections.abc import Iterable, Sequence

from sft.data.cells.conversations import ConversationColumn
from sft.data.rows import Row, Rows, texts_of
from sft.wording import normalised

COLUMN_BREAK = "\x1f"


def normalised_input(row: Row, columns: Sequence[str]) -> str:
    """What rows of the same input have in common, column by column; empty when all cells are missing or blank."""
    cells = [normalised(row.input_text(column)) for column in columns]
    return COLUMN_BREAK.join(cells) if any(cells) else ""


def normalised_inputs(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """As `normalised_input` for each of many rows, column by column and without making rows of a table."""
    if not isinstance(rows, Rows):
        return [normalised_input(row, columns) for row in rows]
    by_column = []
    for column in columns:
        known = rows.table.has(column)
        if known and isinstance(rows.table.column(column), ConversationColumn):  # whose texts are the answers
            by_column.append([normalised(row.input_text(column)) for row in rows])
            continue
        missing = set(rows.table.column(column).missing()) if known else set(rows.places)
        texts = texts_of(rows, column) if known else [""] * len(rows)
        cells = zip(rows.places, texts, strict=True)
        by_column.append(["" if place in missing else normalised(text) for place, text in cells])
    return [COLUMN_BREAK.join(cells) if any(cells) else "" for cells in zip(*by_column, strict=True)]


def count_leaks(used: Iterable[Row], evaluated: Iterable[Row], columns: Sequence[str]) -> int:
    """How many of the `used` rows (shots, in-context examples) have the input of an evaluated one.

    Args:
        used: rows that the model sees with their answer; each counts by itself.
        evaluated: the test and dev rows.
        columns: the columns of the input.
    """
    held_out = {normalised_input(row, columns) for row in evaluated}
    return sum(normalised_input(row, columns) in held_out for row in used)
