"""The rows on which two disagree, with what each of them says."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sft.cli.screen import BEST, WARNING, Column, Screen, line, table
from sft.reporting.pair.comparing import Pair
from sft.reporting.pair.rows import RowsApart
from sft.wording import counted

SHOWN_ROWS = 10
TEXT_WIDTH = 100
"""Texts of rows are not longer anywhere, answers not longer than a third of it."""

Parts = list[Table | Text]


def rows_parts(pair: Pair, screen: Screen) -> Parts:
    """How many rows each has right, and the first ones on which the two do not say the same."""
    found = pair.rows
    if found is None:
        return [line("The predictions of one of the two cannot be read, so rows are not compared.", WARNING)]
    first, second = pair.runs
    several = max(len(side.group.runs) for side in (pair.sides.first, pair.sides.second)) > 1
    of = f" of {first.name} and {second.name}" if several else ""
    right = "right" if pair.sides.first.board.labels is not None else "exact"
    counts = (
        f"Test rows{of}: both {right} {found.both_right}, only A {found.only_first}, only B {found.only_second}, "
        f"both wrong {found.both_wrong}"
    )
    shown = found.disagreements[:SHOWN_ROWS]
    if not shown:
        return [line(counts), line("On every row the two say the same.")]
    more = len(found.disagreements) - len(shown)
    of_them = f", of which the first {len(shown)}" if more else ""
    return [
        line(counts),
        line(f"They disagree on {counted(len(found.disagreements), 'row')}{of_them}:"),
        Text(),
        *table(_row_columns(found), screen),
        *([line(f"... and {counted(more, 'more row')}")] if more else []),
    ]


def _row_columns(found: RowsApart) -> list[Column]:
    shown = found.disagreements[:SHOWN_ROWS]

    def answers(header: str, texts: Sequence[str], is_gold: bool = False) -> Column:
        right = {row: BEST for row, text in enumerate(texts) if text.strip() == shown[row].gold.strip()}
        return Column(header, texts, least=10, cut_at=TEXT_WIDTH // 3, styles={} if is_gold else right)

    return [
        Column("row", [str(row.index) for row in shown]),
        Column("input", [row.text for row in shown], least=20, cut_at=TEXT_WIDTH),
        answers("gold", [row.gold for row in shown], is_gold=True),
        answers("A", [row.first for row in shown]),
        answers("B", [row.second for row in shown]),
    ]
