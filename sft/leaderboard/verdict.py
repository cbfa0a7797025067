"""What a board says in words: what leads, how sure that is, and what would be used."""

from collections.abc import Iterator, Mapping, Sequence

from sft.evaluation.baselines import MAJORITY
from sft.evaluation.selection import DEV
from sft.leaderboard.board import Board
from sft.leaderboard.costs import TOLERANCE, Costs
from sft.leaderboard.groups import Group, summary
from sft.leaderboard.records import BETTER, EQUIVALENT, NOT_TOLD_APART, WORSE, Comparison, Verdict
from sft.leaderboard.statistics.comparison import BoardStatistics
from sft.wording import counted, p_text, some

MOST_OPEN = 3
"""So many that are cheaper and left open are named."""


def verdict_of(board: Board, costs: Mapping[str, Costs]) -> Verdict:
    """The conclusions of a board with statistics.

    Args:
        board: with its groups, and what each is shown to beat.
        costs: of the groups, by name.
    """
    ranked = [group for group in board.groups if group.rank is not None]
    if not ranked:
        return Verdict(None, provisional=False, equivalent=(), cheapest=None, lines=("No set-up is ranked yet.",))
    best, others = ranked[0], ranked[1:]
    equivalent = [group for group in others if group.mark == EQUIVALENT]
    cheapest = _cheapest(best, equivalent, costs)
    lines = [_lead(board, ranked)]
    if all(any(title.startswith(MAJORITY) for title in group.not_above) for group in ranked):
        lines.insert(0, f"Nothing here is shown to beat the {MAJORITY}.")
    if board.statistics is not None and any(group.against_best is not None for group in others):
        lines += _certainty(others, board.statistics)
        lines.append(_use(best, cheapest, board.statistics, others, costs))
    return Verdict(
        best.name, best.is_provisional, tuple(group.name for group in equivalent), cheapest.name, tuple(lines)
    )


def _lead(board: Board, ranked: Sequence[Group]) -> str:
    best, metric = ranked[0], (board.metric or "").removeprefix(DEV)
    found = summary(best.runs, metric)
    rows = "" if board.statistics is None else f" {board.statistics.n_rows:,}"
    interval = "" if best.interval is None else f", 95 % [{best.interval.low:.4f}, {best.interval.high:.4f}]"
    number = "" if found is None else f"{metric} {found.mean:.4f} on the{rows} test rows{interval}"
    so_far = f", so far on {best.n_seeds} of {best.expected_seeds} seeds" if best.is_provisional else ""
    tied = [group.name for group in ranked if group.rank == best.rank]
    leads = f"{best.name} leads" if len(tied) == 1 else f"{some(tied)} tie for the lead"
    if not (board.metric or "").startswith(DEV):
        return f"{leads}{so_far}: {number}." if number else f"{leads}{so_far}."
    of_best = "" if len(tied) == 1 else f"; {best.name} has"
    return f"{leads} on the dev rows{so_far} ({board.metric} {best.value:.4f}){of_best or ':'} {number}."


def _certainty(others: Sequence[Group], statistics: BoardStatistics) -> Iterator[str]:
    """How many of the others are told apart from the leader, and what the next one differs by."""
    compared = [(group, group.against_best) for group in others if group.against_best is not None]
    if not compared:
        return
    names: dict[str, list[str]] = {}
    for group, comparison in compared:
        names.setdefault(comparison.mark, []).append(group.name)
    margin = "" if statistics.margin is None else f" within ±{statistics.margin:g}"
    told = {
        WORSE: f"{len(names.get(WORSE, []))} of the {len(compared)} others are shown to be worse on the test rows",
        EQUIVALENT: f"{len(names.get(EQUIVALENT, []))} equivalent{margin} ({some(names.get(EQUIVALENT, []))})",
        BETTER: f"better on the test rows: {some(names.get(BETTER, []))}",
        NOT_TOLD_APART: f"{len(names.get(NOT_TOLD_APART, []))} not told apart",
    }
    parts = [text for mark, text in told.items() if mark in names or mark == WORSE]
    pairs = counted(statistics.n_comparisons, "comparison")
    yield f"{'; '.join(parts)} (p corrected for {pairs} by Holm)."
    next_one, comparison = compared[0]
    yield f"The next, {next_one.name}, differs from it by {difference_text(comparison)}."
    if all(comparison.runs_only for _, comparison in compared):
        yield "No two share more than one seed: runs are compared, and nothing here tells what other seeds would give."


def difference_text(comparison: Comparison) -> str:
    """`-0.0123 [-0.0400, +0.0154], p (Holm) 0.812`."""
    low, high, p = comparison.interval.low, comparison.interval.high, p_text(comparison.p_holm)
    return f"{comparison.difference:+.4f} [{low:+.4f}, {high:+.4f}], p (Holm) {p}"


def _cheapest(best: Group, equivalent: Sequence[Group], costs: Mapping[str, Costs]) -> Group:
    """The best where no equivalent one answers for less, or as cheaply after less training."""
    found = best
    for group in equivalent:
        if _is_cheaper(costs[group.name], costs[found.name]):
            found = group
    return found


def _is_cheaper(own: Costs, other: Costs) -> bool:
    first, second = own.seconds_per_1000, other.seconds_per_1000
    if first is None or second is None:
        return False
    if abs(first - second) > TOLERANCE * max(first, second):
        return first < second
    return (own.train_seconds or 0.0) < (1 - TOLERANCE) * (other.train_seconds or 0.0)


def _use(
    best: Group, cheapest: Group, statistics: BoardStatistics, others: Sequence[Group], costs: Mapping[str, Costs]
) -> str:
    """Which one to use, or what it would take to know."""
    if cheapest is not best:
        first, second = (costs[group.name].seconds_per_1000 for group in (cheapest, best))
        against = (
            "" if first is None or second is None else f" ({first:.1f} s per 1,000 predictions, against {second:.1f})"
        )
        return f"The cheapest that is equivalent to it: {cheapest.name}{against}."
    open_ones = [
        (group, one)
        for group in others
        if (one := group.against_best) is not None
        and one.mark in (NOT_TOLD_APART, BETTER)
        and _is_cheaper(costs[group.name], costs[best.name])
    ]
    if not open_ones:
        return "No cheaper one is equivalent to it or left open."
    told = [f"{group.name} ({one.difference:+.4f}, p (Holm) {p_text(one.p_holm)})" for group, one in open_ones]
    within, wanted = "", ""
    if statistics.margin is not None:
        within = f" within ±{statistics.margin:g}"
    if statistics.margin is not None and statistics.needed is not None:
        rows, seeds = _rounded(statistics.needed.rows), _rounded(statistics.needed.seeds)
        wanted = f"; telling {statistics.margin:g} apart takes some {rows:,} test rows and {counted(seeds, 'seed')}"
    return f"Nothing cheaper is shown to be as good{within}; cheaper and left open: {some(told, MOST_OPEN)}{wanted}."


def _rounded(number: int) -> int:
    """Two digits, as it is an estimate."""
    unit = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // unit) * unit
