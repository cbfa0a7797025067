"""What `sft leaderboard` shows when something else than the boards themselves is asked for."""

from sft.cli.board.boards import board_text
from sft.cli.board.combinations import combinations_parts
from sft.cli.board.pair import pair_parts
from sft.cli.screen import Screen, drawn
from sft.reporting.formats.json import leaderboard_record
from sft.reporting.views.view import LeaderboardView


def view_text(view: LeaderboardView, screen: Screen) -> str:
    """The pair or the combinations where they were asked for, else the boards as they are ranked.

    Args:
        view: of a leaderboard that was just written.
        screen: what it is made for.
    """
    if view.pair is not None:
        return drawn(pair_parts(view.pair, screen), screen)
    if view.combinations:
        return drawn([part for found in view.combinations for part in combinations_parts(found, screen)], screen)
    return board_text(leaderboard_record(view.leaderboard), screen.width, colour=screen.colour)
