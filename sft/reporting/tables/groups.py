"""The groups of a board as a table for people, and the lines that say what its numbers are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sft.evaluation.selection import DEV
from sft.leaderboard.records import BETTER, WORSE
from sft.reporting.tables.marks import MISSING, mark_text, rank_text
from sft.wording import p_text

Record = Mapping[str, Any]


def group_headers(board: Record) -> list[str]:
    """Where dev rows rank, the ranking metric stands twice, and each number says of which rows it is."""
    metric = board["metric"] or ""
    tested, rows = metric.removeprefix(DEV), of_test_rows(metric)
    ranking = [f"{metric} (dev rows)"] if rows else []
    numbers = [f"{tested} ± sd{rows}", f"95 % interval{rows}", f"to the best{rows}"]
    return ["#", "set-up", "n", *ranking, *numbers, "p (Holm)", "mark"]


def of_test_rows(metric: str) -> str:
    """What stands behind the names of numbers on test rows where dev rows rank; else all are of test rows."""
    return " (test rows)" if metric.startswith(DEV) else ""


def group_cells(group: Record, board: Record) -> list[str]:
    """What stands below the headers for a group."""
    metric = board["metric"] or ""
    tested = metric.removeprefix(DEV)
    against = group["against_best"]
    return [
        rank_text(group),
        group["name"],
        _count(group),
        *([_number(group["value"])] if metric != tested else []),
        _mean(group["results"].get(tested)),
        interval_text(group["interval"]),
        "" if against is None else f"{against['difference']:+.4f} {interval_text(against, '+.4f')}",
        "" if against is None else p_text(against["p_holm"]),
        mark_text(group),
    ]


def statistics_lines(board: Record) -> Iterator[str]:
    """Sentences: which rows, which intervals and tests, and the smallest difference that the test rows can show."""
    known = board.get("statistics")
    if known is None:
        return
    groups = board["groups"]
    if known["chosen_on"] == "dev":
        yield f"Ranked by {board['metric']} on dev rows; intervals, differences, p and marks are of test rows"
    covers = dict.fromkeys(group["interval"]["covers"] for group in groups if group["interval"])
    some = f" of the {known['n_groups']} best" if known["n_groups"] < len(groups) else ""
    yield (
        f"95 % intervals{some}: {known['metric']}, over {' or over '.join(covers)} ({known['samples']:,} bootstrap "
        f"samples of {known['n_rows']:,} test rows)"
    )
    compared = [group["against_best"] for group in groups if group["against_best"]]
    if not compared:
        return
    tests = {against["test"] for against in compared}
    named = " or ".join(name for key, name in TESTS.items() if key in tests)
    family = "all pairs, as the best was chosen on the same rows" if known["chosen_on"] == "test" else "all set-ups"
    yield (
        f"p: {named} against the best on the same rows; p (Holm): corrected for {family}; intervals are each of one "
        "pair alone, so that one may leave out 0 where p (Holm) is not below 0.05"
    )
    smallest = known["detectable"]
    if smallest is not None:
        yield (
            f"The smallest true difference that one such comparison finds with {100 * known['power']:.0f} % power, "
            f"alone and uncorrected: about {smallest:.4f}"
        )
    elif not {against["mark"] for against in compared} & {BETTER, WORSE}:
        yield f"These test rows cannot show any difference from the best with {100 * known['power']:.0f} % power"


def interval_text(interval: Record | None, form: str = ".4f") -> str:
    """`[low, high]`."""
    return MISSING if interval is None else f"[{interval['low']:{form}}, {interval['high']:{form}}]"


def has_seeds(groups: Sequence[Record]) -> bool:
    """Whether any group has several runs, or lacks some."""
    return any(group["n"] > 1 or not group["complete"] for group in groups)


TESTS = {
    "mcnemar": "McNemar's test",
    "bootstrap": "paired bootstrap",
    "t": "t test of the paired differences",
    "t-different-seeds": "t test over different seeds",
    "t-one-seed": "t test of one pair, with the spread over seeds of the board's other set-ups",
}


def _count(group: Record) -> str:
    """Runs, out of the seeds that were to be run where some are missing."""
    if group["no_seed_effect"]:
        return "1 (seeds: no effect)"
    return str(group["n"]) if group["complete"] else f"{group['n_seeds']}/{group['expected_seeds']}"


def _mean(summary: Record | None) -> str:
    """The mean alone where one run has no spread."""
    if summary is None:
        return MISSING
    return _number(summary["mean"]) + ("" if summary["sd"] is None else f" ± {_number(summary['sd'])}")


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"
