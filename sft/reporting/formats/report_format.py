"""What a report format is."""

from collections.abc import Callable
from dataclasses import dataclass

from sft.reporting.board import Leaderboard


@dataclass(frozen=True)
class ReportFormat:
    """A way to write a leaderboard.

    Attributes:
        ending: of the file `leaderboard.<ending>`.
        render: the file's whole text.
    """

    ending: str
    render: Callable[[Leaderboard], str]
