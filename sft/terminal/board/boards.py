"""The leaderboard on the terminal: rank, name, metrics and seconds, and what stands below; the files hold every
setting.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from sft.leaderboard.views.view import LeaderboardView
from sft.reporting.formats.json import leaderboard_record
from sft.reporting.formats.report_format import of_board
from sft.terminal.board.combinations import combinations_parts
from sft.terminal.board.pair import pair_parts
from sft.terminal.board.ranking import ranking_parts
from sft.terminal.screen import FAINT, WARNING, Parts, Screen, drawn, line, number
from sft.wording import some, without_numbers


def board_text(
    leaderboard: Mapping[str, Any], width: int | None = None, *, colour: bool = False, top: int | None = None
) -> str:
    """One table per board, then the rows without a result and why.

    Args:
        leaderboard: content of `leaderboard.json`.
        width: columns of the terminal; None where there is none: nothing is folded or cut, and there are no columns
            beyond those by which set-ups are chosen.
        colour: whether the terminal understands colours.
        top: so many rows of each board, the best ones; None: all.
    """
    from sft.reporting.tables.marks import verdict_lines

    screen = Screen(width, colour)
    parts: Parts = []
    for board in leaderboard["boards"]:
        parts += [
            title(board),
            *map(line, verdict_lines(board)),
            Text(),
            *ranking_parts(board, screen, top),
            *_below(board, leaderboard, top),
        ]
    parts += unfinished_lines([row for row in leaderboard["rows"] if row["board"] is None])
    return drawn(parts or [line("No experiment yet.")], screen)


def title(board: Mapping[str, Any]) -> Text:
    """What a board is of, and how it ranks."""
    of = f"{board['task_type']} of {board['output_column']}"
    if board["metric"] is None:
        return line(f"{of}, not ranked: the first experiment has no metric", "bold")
    return line(f"{of}, ranked by {board['metric']}{'' if is_upward(board) else ' (lower is better)'}", "bold")


def is_upward(board: Mapping[str, Any]) -> bool:
    """Whether more of what ranks is better."""
    return bool(board.get("higher_is_better", True))


def _below(board: Mapping[str, Any], leaderboard: Mapping[str, Any], top: int | None) -> Parts:
    """What the numbers of a board are, what they say, baselines, warnings."""
    from sft.reporting.tables.effects import short_lines
    from sft.reporting.tables.groups import statistics_lines
    from sft.reporting.tables.labels import label_lines
    from sft.reporting.tables.marks import mark_lines
    from sft.reporting.tables.slices import worst_slice_lines

    return [
        *(line(text, FAINT) for text in [*mark_lines(board, top), *statistics_lines(board)]),
        *map(line, [*short_lines(board), *worst_slice_lines(board), *label_lines(board)]),
        *baseline_lines(board, leaderboard),
        *(line(f"note: {warning}", WARNING) for warning in board["warnings"]),
        Text(),
    ]


def baseline_lines(board: Mapping[str, Any], leaderboard: Mapping[str, Any]) -> Iterator[Text]:
    """The baselines of a board by the metric that ranks it, without a rank; those with equal numbers in one line."""
    alike: dict[tuple[str, str, str], list[Any]] = {}
    for item in of_board(leaderboard, "baselines", board["board"]):
        value = number(item["results"].get(board["metric"]))
        alike.setdefault((item["name"], _sets(item), value), []).append(item["shots"])
    for (name, sets, value), shots in alike.items():
        yield line(f"baseline, not ranked: {name} (shots {_listed(shots)}{sets}): {board['metric']} {value}")
    missing: dict[tuple[str, str], list[Any]] = {}
    for item in of_board(leaderboard, "baselines_left_out", board["board"]):
        missing.setdefault((item["name"], item["reason"]), []).append(item["shots"])
    for (name, reason), shots in missing.items():
        yield line(f"note: {name} of shots {_listed(shots)} left out: {reason}", WARNING)


def unfinished_lines(rows: Sequence[Mapping[str, Any]]) -> list[Text]:
    """The rows without a result, those that stand alike in one line."""
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        alike.setdefault(without_numbers(f"{row['state']}{_reason(row['error'])}"), []).append(row)
    return [
        line(f"{some([row['name'] for row in found])}: {found[0]['state']}{_reason(found[0]['error'])}")
        for found in alike.values()
    ]


def _sets(baseline: Mapping[str, Any]) -> str:
    """What its title says beside the shots: over how many draws it is a mean."""
    before = f"{baseline['name']} (shots {baseline['shots']}"
    return str(baseline["title"]).removeprefix(before).removesuffix(")")


def _listed(shots: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(map(str, shots)))


def _reason(error: Mapping[str, Any] | None) -> str:
    return "" if error is None else f" at {error['stage']}: {error['message']}"


def view_text(view: LeaderboardView, screen: Screen, top: int | None = None) -> str:
    """The pair or the combinations where they were asked for, else the boards as they are ranked.

    Args:
        view: of a leaderboard that was just written.
        screen: what it is made for.
        top: so many rows of each board or its combinations, the best ones; None: all.
    """
    if view.pair is not None:
        return drawn(pair_parts(view.pair, screen), screen)
    if view.combinations:
        return drawn([part for found in view.combinations for part in combinations_parts(found, screen, top)], screen)
    return board_text(leaderboard_record(view.leaderboard), screen.width, colour=screen.colour, top=top)
