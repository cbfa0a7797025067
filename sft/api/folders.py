"""What takes a results folder: its numbers, its boards, how it stands, and what can go."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.experiments.upkeep.results_view import view_of
from sft.leaderboard.building import StatisticsOptions, leading_id
from sft.leaderboard.joining import collect
from sft.reporting.files import WrittenLeaderboard, board_folder, rebuild_leaderboard
from sft.reporting.tracked import log_results
from sft.runs.files import DEFAULT_RESULTS, ResultsFolder

if TYPE_CHECKING:
    import pandas

    from sft.experiments.upkeep.verification import Verification


def results(*folders: str | Path) -> "pandas.DataFrame":
    """One row per experiment of one or several results folders: settings, results, seconds, memory."""
    from sft.reporting.flat import results_frame

    return results_frame([Path(folder) for folder in folders or (DEFAULT_RESULTS,)])


def leaderboard(
    folders: Sequence[Path],
    to: Path | None = None,
    *,
    margin: float | None = None,
    with_texts: bool = True,
    figures: Path | None = None,
    everything: bool = False,
) -> WrittenLeaderboard:
    """Rebuild the leaderboard files of results folders; what is in them can be viewed in other ways and logged.

    Differences within `margin`, in the ranking metric's own units (None: 2 % of its range), count as none; without
    `with_texts` the page shows no texts of the data; `figures` is a folder for the charts as SVG files; with
    `everything` experiments that stand in no grid any more are on the boards too, marked so.

    Raises:
        UserError: a folder is not there, several are joined and none is given to write to, or the margin is no number
            above 0.
        MachineError: the package that draws figures is not installed.
    """
    target = board_folder(folders, to)
    options = StatisticsOptions(margin)
    return rebuild_leaderboard(
        folders, target, options=options, with_texts=with_texts, figures=figures, everything=everything
    )


def track(folders: Sequence[Path], tracker: str, to: Path | None = None) -> str:
    """Log the experiments of results folders, those that failed too; a line that says what was done and where.

    Raises:
        UserError: there is no such tracker or folder, or several are joined and none is given to write to.
        MachineError: the tracker's package is not installed, or it could not log.
    """
    written = board_folder(folders, to)
    joined = [ResultsFolder(folder) for folder in folders]
    return log_results(collect(joined).in_grid, joined, written, tracker)


def status(results_path: str | Path = DEFAULT_RESULTS) -> list[str]:
    """How a results folder stands, in lines: counts by state, what runs, what failed and why, what comes next."""
    from sft.terminal.status import status_lines

    return status_lines(view_of(_folder(results_path)))


def status_record(results_path: str | Path = DEFAULT_RESULTS) -> dict[str, Any]:
    """The same for programs, as `sft status --json` prints it."""
    from sft.experiments.upkeep.folder_record import status_record as record_of

    return record_of(view_of(_folder(results_path)))


def logs(experiment: str, results_path: str | Path = DEFAULT_RESULTS, lines: int = 20) -> list[str]:
    """The tries of every stage of an experiment: their states, their logs, and the end of the last one.

    Args:
        experiment: its name, the beginning of its id, or `best`.
        results_path: the results folder.
        lines: how many lines of each log are shown.

    Raises:
        UserError: none, or several, are meant.
    """
    from sft.terminal.logs import logs_of

    folder = _folder(results_path)
    return logs_of(view_of(folder), experiment, lambda: leading_id(folder), lines)


def verify(results_path: str | Path = DEFAULT_RESULTS) -> "Verification":
    """Compare every result file of a results folder with its manifest; nothing is written."""
    from sft.experiments.upkeep.verification import verify as verify_view

    return verify_view(view_of(_folder(results_path)))


def clean(results_path: str | Path = DEFAULT_RESULTS, *, delete: bool = False, adapters: bool = False) -> list[str]:
    """Say in lines what a results folder holds that its grid does not need, or `delete` it.

    With `adapters` those go too of which every experiment is done.

    Raises:
        FolderInUse: adapters are to go while a run is active.
    """
    from sft.experiments.upkeep.cleaning import clean as clean_folder

    return clean_folder(_folder(results_path), delete=delete, adapters=adapters)


def _folder(results_path: str | Path) -> ResultsFolder:
    return ResultsFolder(Path(results_path).resolve())
