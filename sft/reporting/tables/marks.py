"""What stands beside a set-up in a table: its rank and its mark, as words and signs that need no colour."""

from collections.abc import Iterator, Mapping
from typing import Any

from sft.leaderboard.records import BEST, BETTER, EQUIVALENT, NOT_TOLD_APART, WORSE

MISSING = "n/a"
MARKS = {
    BEST: "best",
    BETTER: "+ better",
    EQUIVALENT: "≈ equal",
    WORSE: "− worse",
    NOT_TOLD_APART: "? unclear",
}
"""Mark of a comparison -> how tables write it: short, so that it is never folded."""

ONE_SEED = "? one seed"
PROVISIONAL = "*"
NOT_ABOVE = "†"

Record = Mapping[str, Any]


def rank_text(group: Record) -> str:
    """`2`, or `2*` where the group lacks seeds and is ranked by the mean of those that it has."""
    if group["rank"] is None:
        return MISSING
    return f"{group['rank']}{PROVISIONAL if group['provisional'] else ''}"


def mark_text(group: Record) -> str:
    """How the group stands beside the best one, with a dagger where it is not shown to beat every baseline."""
    return f"{_mark(group)} {NOT_ABOVE if group['not_above'] else ''}".strip()


def _mark(group: Record) -> str:
    """Two runs where seeds have an effect are compared, and not judged."""
    against = group["against_best"]
    return ONE_SEED if against is not None and against["runs_only"] else MARKS.get(group["mark"], "")


def mark_lines(board: Record, top: int | None = None) -> Iterator[str]:
    """Sentences on the signs that stand beside the set-ups of a table, and on no other.

    Args:
        board: one of `boards` of a `leaderboard.json`.
        top: so many set-ups are shown; None: all.
    """
    known, groups = board["statistics"], board["groups"][:top]
    if known is None:
        return
    meaning = {
        MARKS[EQUIVALENT]: f"the 90 % interval of the difference to the best lies within ±{known['margin'] or 0:g}",
        MARKS[WORSE]: "p (Holm) < 0.05",
        MARKS[BETTER]: "p (Holm) < 0.05 on test rows, though dev rows chose another one",
        MARKS[NOT_TOLD_APART]: "not told from the best, which does not say that it is as good",
        ONE_SEED: "p is of two runs, and another seed may turn it round",
    }
    there = set(map(_mark, groups))
    told = [f"{mark}: {text}" for mark, text in meaning.items() if mark in there]
    if told:
        yield f"Marks: {'; '.join(told)}"
    if any(group["provisional"] for group in groups):
        yield f"{PROVISIONAL}: provisional, seeds are missing; ranked by the mean of those that are there"
    titles = dict.fromkeys(title for group in groups for title in group["not_above"])
    if titles:
        yield f"{NOT_ABOVE}: not shown to be better than {' or '.join(titles)}"


def verdict_lines(board: Record) -> list[str]:
    """The sentences of a board's verdict; what there is in place of one where the board is ranked only."""
    verdict = board["verdict"]
    if verdict is None:
        return [
            "Ranked so far; what the ranks are worth is worked out when fewer experiments run, or by sft leaderboard."
        ]
    return list(verdict["lines"])
