"""`sft leaderboard --group-by`: the runs of a board by the values of settings."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from sft.config.seeds import is_seed
from sft.leaderboard.views.combinations import Combinations
from sft.terminal.screen import LEADER, MISSING, WARNING, Column, Parts, Screen, line, number, table
from sft.wording import some

VALUE_WIDTH = 12
"""Values of settings are not folded to less."""


def combinations_parts(found: Combinations, screen: Screen, top: int | None = None) -> Parts:
    """Title, one line per combination of values, `top` at most, and what its means are over."""
    board, rows = found.board, found.found[:top]
    more = len(found.found) - len(rows)
    by = f"{board.task_type} of {board.output_column}, {', '.join(found.keys)}"
    if board.metric is None:
        return [line(f"{by}: the first experiment has no metric", "bold"), Text()]
    better = "" if board.higher_is_better else " (lower is better)"
    columns = [
        *(
            Column(key, [row.texts[place] or MISSING for row in rows], least=VALUE_WIDTH)
            for place, key in enumerate(found.keys)
        ),
        Column("n", [str(row.n) for row in rows]),
        Column("mean", [number(row.mean) for row in rows]),
        Column("sd", ["" if row.sd is None else number(row.sd) for row in rows], leaves=1),
        Column("min", [number(row.lowest) for row in rows], leaves=2),
        Column("max", [number(row.highest) for row in rows], leaves=2),
        Column("best experiment", [row.best or MISSING for row in rows], least=16, is_name=True, leaves=3),
    ]
    leads = {0: LEADER} if len(rows) > 1 and rows[0].mean is not None else {}
    return [
        line(f"{by}: {board.metric}{better}", "bold"),
        Text(),
        *table(columns, screen, leads),
        *([line(f"and {more} more")] if more else []),
        *(line(text, WARNING) for text in _meaning(found.also_differ)),
        Text(),
    ]


def _meaning(also_differ: Sequence[str]) -> Iterator[str]:
    others = [path for path in also_differ if not is_seed(path)]
    if others:
        yield (
            f"note: means over unlike set-ups, no controlled comparison: {some(others)} "
            f"{'differs' if len(others) == 1 else 'differ'} within a line too"
        )
    elif also_differ:
        yield "Within a line only seeds differ."
