"""Output columns of which each cell holds any number of labels."""

import json
from collections.abc import Callable

from sft.config.canonical import json_text
from sft.data.cells.conversations import NamedRow
from sft.data.tables import Column, ListColumn
from sft.exceptions import DataError
from sft.wording import quoted

GoldColumn = Callable[[Column, int, NamedRow], Column]
"""From the cells of the output column, how many there are, and what names a row, to the gold."""


class LabelLists(ListColumn):
    """Cells that are lists of labels; that of a row without any is an empty list, and not empty."""


def label_lists(column: Column, n_rows: int, named: NamedRow, *, name: str, separator: str | None) -> Column:
    """The cells as sorted lists of labels; missing cells stay missing.

    Args:
        column: as it was read.
        n_rows: its cells.
        named: names a row in messages.
        name: of the column.
        separator: between the labels of a text; None where cells are lists.

    Raises:
        DataError: a cell is no list of labels.
    """
    cells: list[list[str] | None] = []
    for place in range(n_rows):
        cell = column.value(place)
        found = None if cell is None or cell == "" else split_labels(cell, separator)
        if found is None and cell not in (None, ""):
            advice = "" if separator else "; write dataset.labels_separator where labels are joined in a text"
            told = f"{named(place)}: {quoted(name)} is {cell!r:.60}, and not a list of labels"
            raise DataError(f"{told}{advice}")
        cells.append(found)
    return LabelLists(cells)


def split_labels(cell: object, separator: str | None) -> list[str] | None:
    """The labels in a cell of the data, sorted, each once; None where it is no list of labels.

    Args:
        cell: a list of labels, a text that is such a list in JSON, or labels joined by the separator.
        separator: `dataset.labels_separator`; None where cells are lists.
    """
    listed = _json_list(cell) if isinstance(cell, str) else cell
    if isinstance(listed, list):
        is_sound = all(isinstance(item, str | bool | int | float) for item in listed)
        return sorted({json_text(item) for item in listed}) if is_sound else None
    if separator is None or not isinstance(cell, str):
        return None
    return sorted({part.strip() for part in cell.split(separator)} - {""})


def _json_list(text: str) -> list[object] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None
