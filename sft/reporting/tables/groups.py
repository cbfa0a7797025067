"""The groups of a board as a table for people, and the lines that say what its numbers are."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.evaluation.rows import DEV

MISSING = "n/a"
TIE = "≈ best"


def group_headers(board: Mapping[str, Any]) -> list[str]:
    """The ranking metric stands twice where dev rows rank: there, and on the test rows."""
    metric = board["metric"] or ""
    tested = metric.removeprefix(DEV)
    ranking = [metric] if metric != tested else []
    return ["#", "group", "n", *ranking, f"{tested} ± sd", "95 % interval", "to the best", "p (Holm)", ""]


def group_cells(group: Mapping[str, Any], board: Mapping[str, Any]) -> list[str]:
    """What stands below the headers for a group."""
    metric = board["metric"] or ""
    tested = metric.removeprefix(DEV)
    against = group["against_best"]
    return [
        MISSING if group["rank"] is None else str(group["rank"]),
        group["name"],
        _count(group),
        *([_number(group["value"])] if metric != tested else []),
        _mean(group["results"].get(tested)),
        interval_text(group["interval"]),
        "" if against is None else f"{against['difference']:+.4f} {interval_text(against, '+.4f')}",
        "" if against is None else p_text(against["p_holm"]),
        TIE if against is not None and against["tie"] else "",
    ]


def statistics_lines(board: Mapping[str, Any]) -> list[str]:
    """Sentences: which interval, which tests, and the smallest difference that the test rows can show."""
    known = board.get("statistics")
    if known is None:
        return []
    groups = board["groups"]
    covers = list(dict.fromkeys(group["interval"]["covers"] for group in groups if group["interval"]))
    tests = {group["against_best"]["test"] for group in groups if group["against_best"]}
    some = f" of the {known['n_groups']} best" if known["n_groups"] < len(groups) else ""
    ways = " or ".join(interval_way(source) for source in covers)
    lines = [
        f"Intervals{some}: {known['metric']}, {known['confidence']:.0%} {ways} "
        f"({known['samples']:,} samples of {known['n_rows']:,} test rows)"
    ]
    if tests:
        named = " or ".join(name for key, name in TESTS.items() if key in tests)
        lines.append(
            f"p: {named} against the best on the same rows, corrected for the number of groups (Holm); {TIE}: p ≥ 0.05"
        )
        lines.append(_detectable(known))
    return lines


def interval_text(interval: Mapping[str, Any] | None, form: str = ".4f") -> str:
    """`[low, high]`."""
    return MISSING if interval is None else f"[{interval['low']:{form}}, {interval['high']:{form}}]"


def interval_way(covers: str) -> str:
    """How an interval over some sources of chance is made."""
    return "bootstrap over test rows" + (" with Student's t over seeds" if "seeds" in covers else "")


def p_text(p: float) -> str:
    """Three digits."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def has_seeds(groups: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any group has several runs, or lacks some."""
    return any(group["n"] > 1 or not group["complete"] for group in groups)


TESTS = {
    "mcnemar": "McNemar's test",
    "bootstrap": "paired bootstrap",
    "t": "t test of the paired differences",
    "t-different-seeds": "t test over different seeds",
    "t-one-seed": "t test of one pair, with the spread over seeds of the board's other set-ups",
}


def _detectable(statistics: Mapping[str, Any]) -> str:
    smallest = statistics["detectable"]
    if smallest is None:
        return "These test rows cannot show any difference from the best with 80 % power"
    return (
        f"The smallest difference that these test rows show with {statistics['power']:.0%} power (about, for pairs "
        f"like these, uncorrected): {smallest:.4f}"
    )


def _count(group: Mapping[str, Any]) -> str:
    """Runs, out of the seeds that were to be run where some are missing."""
    if group["no_seed_effect"]:
        return "1 (seeds: no effect)"
    return str(group["n"]) if group["complete"] else f"{group['n_seeds']}/{group['expected_seeds']}"


def _mean(summary: Mapping[str, Any] | None) -> str:
    """The mean alone where one run has no spread."""
    if summary is None:
        return MISSING
    return _number(summary["mean"]) + ("" if summary["sd"] is None else f" ± {_number(summary['sd'])}")


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4f}"
