"""Rows with an empty cell in a used column: read as empty text, left out, or refused by name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sft.data.cells.label_lists import LabelLists
from sft.data.rows import Rows
from sft.data.sources import FileSplit, SplitSource
from sft.data.tables import Table
from sft.exceptions import DataError
from sft.wording import quoted, shown, some

SHOWN = 10

OnMissing = Literal["empty", "drop", "error"]

HINT = "fill it, or leave such rows out with dataset.on_missing: drop"
HINT_OF_SETS = f"write [] for a row without labels, {HINT.removeprefix('fill it, ')}"


@dataclass(frozen=True)
class RowNames:
    """What messages call the rows of a split: by their file, and by their place in it, from 0."""

    split: str
    source: SplitSource
    table: Table

    def named(self, places: Iterable[int]) -> str:
        """Some rows, such as `a.csv rows 1, 7 (counted from 0)`; of many the first."""
        of: dict[str, list[int]] = {}
        for place in places:
            file, number = self._place(place)
            of.setdefault(file, []).append(number)
        texts = [
            f"{file} row{'s' if len(numbers) > 1 else ''} {some([str(number) for number in numbers], SHOWN)}"
            for file, numbers in of.items()
        ]
        return f"{some(texts, SHOWN)} (counted from 0)"

    def one(self, place: int) -> str:
        """A row, such as `a.csv row 7 (counted from 0)`."""
        return self.named([place])

    @property
    def whole(self) -> str:
        """All of it: the file, or where there is no single one the split."""
        if isinstance(self.source, FileSplit) and len(self.source.files) == 1:
            return self.source.files[0].name
        return f'split "{self.split}"'

    def _place(self, place: int) -> tuple[str, int]:
        part, own = self.table.part(place)
        return (self.source.files[part].name if isinstance(self.source, FileSplit) else self.whole), own


def complete_rows(
    rows: Rows, inputs: Sequence[str], output: str | None, on_missing: OnMissing, names: RowNames
) -> Rows:
    """The rows of a split that are used.

    Args:
        rows: of the split.
        inputs: columns that prompts read.
        output: column of the gold; None where the rows need none.
        on_missing: `empty` keeps rows of which some inputs are empty; `drop` and `error` take every used column alike.
        names: of the rows.

    Raises:
        DataError: a cell must not be empty, or no row of dev or test is left.
    """
    used = inputs if output is None else [*inputs, output]
    holes = {column: _missing(rows, column) for column in used}
    if on_missing == "empty":
        _check_columns_filled(rows, used, names)
        of_sets = output is not None and isinstance(rows.table.column(output), LabelLists)
        _check_enough(holes, inputs, output, names, HINT_OF_SETS if of_sets else HINT)
        left_out = set[int]()
    else:
        left_out = set[int]().union(*holes.values())
    if left_out and on_missing == "error":
        last = {place: column for column in used for place in sorted(holes[column])}
        first = some([f"{place} ({shown(last[place])})" for place in sorted(last)], SHOWN)
        raise DataError(
            f'split "{names.split}": used columns are empty in rows {first} (rows counted from 0); '
            "fill them, or leave them out with dataset.on_missing: drop"
        )
    complete = Rows(rows.table, [place for place in rows.places if place not in left_out]) if left_out else rows
    if not complete and names.split != "train":
        raise DataError(f'split "{names.split}" has no rows' + (" without missing cells" if left_out else ""))
    return complete


def _missing(rows: Rows, column: str) -> set[int]:
    """The places of the rows in which a column is empty; a table may have more rows than a split of it."""
    found = rows.table.column(column).missing()
    return set(found) & set(rows.places) if found else set()


def _check_columns_filled(rows: Rows, used: Sequence[str], names: RowNames) -> None:
    """Refuse a column without a value anywhere in what was read, also where shares cut it."""
    n_rows = rows.table.n_rows
    empty = [column for column in used if n_rows and len(rows.table.column(column).missing()) == n_rows]
    if empty:
        raise DataError(
            f"column {', '.join(map(quoted, empty))} is empty in every row of {names.whole}; name another column, or "
            "look at how the file is read (dataset.read)"
        )


def _check_enough(
    holes: dict[str, set[int]], inputs: Sequence[str], output: str | None, names: RowNames, hint: str
) -> None:
    """Refuse rows without gold, for which there is a hint, and rows without any input."""
    if output is not None and holes[output]:
        raise DataError(f"{names.named(sorted(holes[output]))}: no gold in {quoted(output)}; {hint}")
    without_input = set.intersection(*(holes[column] for column in inputs)) if inputs else set()
    if without_input:
        word = "the input" if len(inputs) == 1 else "every input"
        columns = ", ".join(map(quoted, inputs))
        raise DataError(f"{names.named(sorted(without_input))}: {word} ({columns}) is empty; {HINT}")
