"""The leaderboard on the terminal: rank, name, metrics and seconds; the files hold every setting."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from sft.cli.board.notes import baseline_lines, unfinished_lines
from sft.cli.board.ranking import experiments_table, groups_table
from sft.cli.screen import FAINT, WARNING, Screen, drawn, line

Parts = list[Table | Text]


def board_text(leaderboard: Mapping[str, Any], width: int | None = None, *, colour: bool = False) -> str:
    """One table per board, then the rows without a result and why.

    Args:
        leaderboard: content of `leaderboard.json`.
        width: columns of the terminal; None where there is none: nothing is left out, folded or cut.
        colour: whether the terminal understands colours.
    """
    screen = Screen(width, colour)
    rows = {(row["board"], row["name"], row["id"]): row for row in leaderboard["rows"]}
    parts: Parts = []
    for board in leaderboard["boards"]:
        ranked = [(place["rank"], rows[board["board"], place["name"], place["id"]]) for place in board["ranking"]]
        parts += _board(board, ranked, leaderboard, screen)
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


def _board(
    board: Mapping[str, Any],
    ranked: Sequence[tuple[int | None, Mapping[str, Any]]],
    leaderboard: Mapping[str, Any],
    screen: Screen,
) -> Parts:
    """Title, ranking, what its numbers are, what they say, baselines, warnings."""
    from sft.reporting.formats.effect_text import short_lines
    from sft.reporting.formats.group_table import has_seeds, statistics_lines

    grouped = board["metric"] is not None and has_seeds(board.get("groups", []))
    ranking = groups_table(board, ranked, screen) if grouped else experiments_table(board, ranked, screen)
    return [
        title(board),
        Text(),
        *ranking,
        *(line(text, FAINT) for text in statistics_lines(board)),
        *map(line, short_lines(board)),
        *baseline_lines(board, leaderboard),
        *(line(f"note: {warning}", WARNING) for warning in board["warnings"]),
        Text(),
    ]
