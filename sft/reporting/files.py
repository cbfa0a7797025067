"""The leaderboard files of results folders."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sft.exceptions import UserError
from sft.leaderboard.baselines.reading import baselines_of
from sft.leaderboard.board import Leaderboard, with_ranks
from sft.leaderboard.building import STATISTICS, StatisticsOptions, build_leaderboard
from sft.leaderboard.views.view import LeaderboardView, ViewRequest, leaderboard_view
from sft.processes.garbage import without_search_for_cycles
from sft.registry import import_object
from sft.reporting.figures import require_figures, write_figures
from sft.reporting.formats import report_format_registry
from sft.reporting.formats.json import report_of
from sft.reporting.formats.report_format import Report, ReportFormat
from sft.reporting.tracked import log_results
from sft.runs.atomic import write_text
from sft.runs.files import ResultsFolder

RANKS_ONLY_ABOVE = 500
"""More experiments of a grid under way are ranked without statistics, which cost most and move with each result."""


def board_folder(folders: Sequence[Path], to: Path | None) -> Path:
    """Where the leaderboard of results folders lies.

    Args:
        folders: the results folders.
        to: as the user said; None where they did not.

    Raises:
        UserError: a folder is not there, or several are joined and none is given to write to.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such results folder")
    if to is None and len(folders) > 1:
        raise UserError("several results folders: say with --to where the joined leaderboard goes")
    return to or folders[0]


@dataclass(frozen=True)
class WrittenLeaderboard:
    """A leaderboard whose files were just written, to be looked at in other ways and to be logged.

    Attributes:
        folders: the results folders.
        to: the folder of the files.
        report: what is in them.
        options: of its statistics.
    """

    folders: tuple[ResultsFolder, ...]
    to: ResultsFolder
    report: Report
    options: StatisticsOptions = STATISTICS

    def view(self, request: ViewRequest) -> LeaderboardView:
        """The boards in the way that was asked for.

        Args:
            request: what is asked for.

        Raises:
            UserError: a metric, setting or name is not there, or two experiments cannot be compared.
        """
        return leaderboard_view(self.report.leaderboard, self.folders, self.to, request, self.options)

    def track(self, tracker: str) -> str:
        """Log the experiments; a line that says what was done and where.

        Raises:
            UserError: there is no such tracker.
            MachineError: the tracker's package is not installed, or it could not log.
        """
        return log_results(self.report.leaderboard.in_grid, self.folders, self.to.path, tracker)


@without_search_for_cycles()
def write_leaderboard(
    folders: Sequence[ResultsFolder],
    to: Path,
    *,
    options: StatisticsOptions = STATISTICS,
    with_texts: bool = True,
    under_way: bool = False,
    everything: bool = False,
) -> WrittenLeaderboard:
    """Write `leaderboard.json`, `leaderboard.md`, ... of the folders into `to`, each atomically.

    Works at any moment: with no experiment, with failed ones only, and while a grid runs.

    Args:
        folders: the results folders.
        to: the folder to write to.
        options: of the statistics.
        with_texts: whether reports may show texts of the data.
        under_way: whether a grid runs, so that many experiments are ranked only.
        everything: whether experiments that stand in no grid any more are on the boards too.
    """
    ranked = build_leaderboard(folders, keeps=True, everything=everything)
    ranks_only = under_way and sum(len(board.rows) for board in ranked.boards) > RANKS_ONLY_ABOVE
    written = ResultsFolder(to)
    baselines = baselines_of(ranked.boards, [*folders, written])
    ranked = dataclasses.replace(ranked, baselines=baselines, with_texts=with_texts)
    leaderboard = with_ranks(ranked) if ranks_only else _with_statistics(ranked, options)
    report = report_of(leaderboard)
    for target in report_format_registry.values():
        kind: ReportFormat = import_object(target)
        write_text(written.leaderboard(kind.ending), kind.render(report))
    for cache in leaderboard.caches:
        cache.write()
    return WrittenLeaderboard(tuple(folders), written, report, options)


def _with_statistics(ranked: Leaderboard, options: StatisticsOptions) -> Leaderboard:
    """Imported here, as a board that is only ranked needs none of it."""
    from sft.leaderboard.completing import with_statistics

    return with_statistics(ranked, options)


def rebuild_leaderboard(
    folders: Sequence[Path],
    to: Path,
    *,
    options: StatisticsOptions,
    with_texts: bool,
    figures: Path | None,
    everything: bool = False,
) -> WrittenLeaderboard:
    """Write the leaderboard of results folders into `to`, and its figures; `everything` as in `write_leaderboard`.

    Raises:
        UserError: the place for figures is a file.
        MachineError: the package that draws them is not installed.
    """
    if figures is not None:
        require_figures(figures)
    joined = [ResultsFolder(folder) for folder in folders]
    written = write_leaderboard(joined, to, options=options, with_texts=with_texts, everything=everything)
    if figures is not None:
        write_figures(written.report, figures)
    return written
