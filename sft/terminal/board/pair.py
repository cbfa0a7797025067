"""`sft leaderboard --diff A B`: settings, results, costs and the paired difference, then the rows on which the two
disagree.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from rich.text import Text

from sft.leaderboard.records import EQUIVALENT, NOT_TOLD_APART, Comparison, Summary
from sft.leaderboard.views.pair import Cost, Pair, RowsApart, Setting
from sft.leaderboard.views.pair_sides import Side
from sft.reporting.tables.groups import TESTS, interval_text
from sft.runs.files import ID_DIGITS
from sft.runs.records import STAGES
from sft.terminal.screen import BEST, FAINT, MISSING, WARNING, Column, Parts, Screen, line, number, table
from sft.wording import GIB, counted, p_text, some

VALUE_WIDTH = 12


SHOWN_ROWS = 10

TEXT_WIDTH = 100
"""Texts of rows are not longer anywhere, answers not longer than a third of it."""


def pair_parts(pair: Pair, screen: Screen) -> Parts:
    """The two, called A and B in everything below."""
    board = pair.sides.first.board
    return [
        line(f"{board.task_type} of {board.output_column}: A against B", "bold"),
        line(f"A  {_side_text(pair.sides.first)}"),
        line(f"B  {_side_text(pair.sides.second)}"),
        Text(),
        *_settings(pair.settings, screen),
        Text(),
        *_numbers(pair, screen),
        Text(),
        *_difference(pair),
        *rows_parts(pair, screen),
        Text(),
    ]


def _side_text(side: Side) -> str:
    runs = side.group.runs
    if len(runs) == 1:
        return f"{side.name} [{runs[0].id[:ID_DIGITS]}]"
    seeds = sorted({run.seed for run in runs if run.seed is not None})
    listed = f" (seeds {some([str(seed) for seed in seeds])})" if len(seeds) == len(runs) else ""
    return f"{side.name}, mean of {len(runs)} runs{listed}"


def _settings(settings: Sequence[Setting], screen: Screen) -> Parts:
    if not settings:
        return [line("No setting differs; the data, model or code that they read do.")]
    return table(
        [
            Column("setting", [item.path for item in settings], least=2 * VALUE_WIDTH),
            Column("A", [item.first_text or MISSING for item in settings], least=VALUE_WIDTH),
            Column("B", [item.second_text or MISSING for item in settings], least=VALUE_WIDTH),
        ],
        screen,
    )


def _numbers(pair: Pair, screen: Screen) -> Parts:
    """Results with the direction that is better, then seconds and memory."""
    names, cells, better = [], [], []
    for item in pair.results:
        names.append(f"{item.name} {'↑' if item.higher_is_better else '↓'}")
        means = [None if side is None else side.mean for side in (item.first, item.second)]
        cells.append([_summary(item.first), _summary(item.second), _less(means, ".4f")])
        better.append(_better(*means, higher=item.higher_is_better))
    for cost in pair.costs:
        name, digits, unit = _unit(cost)
        values = [None if value is None else value / unit for value in (cost.first, cost.second)]
        names.append(name)
        texts = [MISSING if value is None else f"{value:,.{digits}f}" for value in values]
        cells.append([*texts, _less(values, f",.{digits}f")])
        better.append(None)
    columns = list(zip(*cells, strict=True)) or [(), (), ()]
    marks = [{row: BEST for row, side in enumerate(better) if side == place} for place in (0, 1)]
    return table(
        [
            Column("", names, least=VALUE_WIDTH),
            Column("A", columns[0], styles=marks[0]),
            Column("B", columns[1], styles=marks[1]),
            Column("A - B", columns[2], leaves=1),
        ],
        screen,
    )


def _summary(summary: Summary | None) -> str:
    if summary is None:
        return MISSING
    return number(summary.mean) + ("" if summary.sd is None else f" ± {number(summary.sd)}")


def _less(values: Sequence[float | None], form: str) -> str:
    """The first less the second."""
    first, second = values
    return "" if first is None or second is None else f"{first - second:+{form}}"


def _better(first: float | None, second: float | None, *, higher: bool) -> int | None:
    """Which of two numbers is better, 0 or 1."""
    if first is None or second is None or first == second:
        return None
    return 0 if (first > second) is higher else 1


def _unit(cost: Cost) -> tuple[str, int, int]:
    """Name, digits and size of the unit of a cost."""
    if cost.name.endswith("_bytes"):
        return (
            f"{cost.name.removesuffix('_bytes').replace('_', ' ').replace('rss', 'RSS').replace('gpu', 'GPU')} GiB",
            2,
            GIB,
        )
    return (f"{cost.name} s", 1, 1) if cost.name in STAGES else (cost.name.replace("_", " "), 0, 1)


def _difference(pair: Pair) -> Iterator[Text]:
    """The paired difference, and what it says."""
    if pair.metric is None:
        return
    found = pair.difference
    if found is None:
        why = "it does not follow from single rows, or the results are of an earlier version and lack rows.npz"
        yield line(f"{pair.metric}: no interval and no test, for {why}", WARNING)
        return
    comparison = found.comparison
    interval = interval_text(dataclasses.asdict(comparison.interval), "+.4f")
    p = p_text(comparison.p)
    yield line(
        f"{pair.metric}: A - B = {comparison.difference:+.4f}, 95 % interval {interval}, "
        f"p {'' if p.startswith('<') else '= '}{p} ({TESTS[comparison.test]})",
        "bold",
    )
    yield line(f"{verdict_text(comparison, found.margin)} Interval and p are over {comparison.covers}.", FAINT)


def verdict_text(comparison: Comparison, margin: float | None) -> str:
    """What a comparison of one pair alone comes to, in a sentence."""
    if comparison.runs_only:
        return "This compares two runs: nothing here tells what other seeds would give."
    if comparison.mark == EQUIVALENT:
        return f"The two are equivalent: the 90 % interval of their difference lies within ±{margin:g}."
    if comparison.mark == NOT_TOLD_APART:
        return "The two are not told apart (p ≥ 0.05, of this pair alone), which does not say that they are equal."
    return f"A is {comparison.mark} than B (p < 0.05, of this pair alone)."


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
