"""The leaderboard files of results folders."""

import contextlib
import dataclasses
import gc
from collections.abc import Iterator, Sequence
from pathlib import Path

from sft.errors import UserError
from sft.registry import import_object
from sft.reporting.baselines.building import baselines_of
from sft.reporting.board import Leaderboard, leading_group, rank, with_groups, with_ranks, with_statistics
from sft.reporting.collect import collect
from sft.reporting.figures import require_figures, write_figures
from sft.reporting.formats import report_format_registry
from sft.reporting.formats.report_format import ReportFormat
from sft.runs.atomic import write_text
from sft.runs.files import ResultsFolder

RANKS_ONLY_ABOVE = 500
"""More experiments of a grid under way are ranked without statistics, which cost most and move with each result."""


@contextlib.contextmanager
def _without_search_for_cycles() -> Iterator[None]:
    """Many results are hundreds of thousands of maps without a cycle; searching them takes 40 % of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_search_for_cycles()
def build_leaderboard(folders: Sequence[ResultsFolder]) -> Leaderboard:
    """The boards of results folders as they stand now.

    Raises:
        UserError: a folder is not there.
    """
    return rank(collect(folders))


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


def leading_id(results: ResultsFolder) -> str | None:
    """The id of the best-ranked run of the group that leads the first board; None while no number ranks.

    A single lucky seed of another group may have a better number; the group's mean decides.
    """
    leaderboard = build_leaderboard([results])
    groups = (leading_group(with_groups(board, leaderboard.without_result)) for board in leaderboard.boards)
    return next((group.runs[0].id for group in groups if group is not None), None)


@_without_search_for_cycles()
def write_leaderboard(
    folders: Sequence[ResultsFolder],
    to: Path,
    *,
    measures_baselines: bool = False,
    full: bool = False,
    with_texts: bool = True,
    under_way: bool = False,
) -> Leaderboard:
    """Write `leaderboard.json`, `leaderboard.md`, ... of the folders into `to`, each atomically.

    Works at any moment: with no experiment, with failed ones only, and while a grid runs.

    Args:
        folders: the results folders.
        to: the folder to write to.
        measures_baselines: whether baselines that are not known yet are measured, which reads the data and takes
            seconds; else those that are known are shown.
        full: statistics of all groups; else of the best ones of each board.
        with_texts: whether reports may show texts of the data.
        under_way: whether a grid runs, so that many experiments are ranked only.
    """
    ranked = build_leaderboard(folders)
    ranks_only = under_way and sum(len(board.rows) for board in ranked.boards) > RANKS_ONLY_ABOVE
    leaderboard = with_ranks(ranked) if ranks_only else with_statistics(ranked, full=full)
    baselines = baselines_of(leaderboard.boards, folders, ResultsFolder(to), measures=measures_baselines)
    leaderboard = dataclasses.replace(leaderboard, baselines=baselines, with_texts=with_texts)
    for target in report_format_registry.values():
        report: ReportFormat = import_object(target)
        write_text(ResultsFolder(to).leaderboard(report.ending), report.render(leaderboard))
    return leaderboard


def rebuild_leaderboard(
    folders: Sequence[Path], to: Path, *, full: bool, with_texts: bool, figures: Path | None
) -> Path:
    """Write the leaderboard of results folders with its baselines into `to`, which is returned, and its figures.

    Raises:
        UserError: the place for figures is a file.
        MachineError: the package that draws them is not installed.
    """
    if figures is not None:
        require_figures(figures)
    joined = [ResultsFolder(folder) for folder in folders]
    leaderboard = write_leaderboard(joined, to, measures_baselines=True, full=full, with_texts=with_texts)
    if figures is not None:
        write_figures(leaderboard, figures)
    return to
