"""What takes one experiment of a results folder: its wrong rows, and those of its board whose gold may be wrong."""

from pathlib import Path

from sft.exceptions import UserError
from sft.experiments.upkeep.results_view import find_experiment, unknown, view_of
from sft.leaderboard.building import build_leaderboard, leading_id
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.details.error_list import ErrorList, ErrorRequest, error_list
from sft.leaderboard.details.suspects import SuspectList
from sft.leaderboard.details.suspects import suspects as suspects_of
from sft.leaderboard.joining import collect
from sft.reporting.error_rows import error_csv, suspect_csv
from sft.runs.atomic import write_text
from sft.runs.experiments import ListedExperiment
from sft.runs.files import DEFAULT_RESULTS, ResultsFolder


def errors(
    experiment: str = "best",
    results_path: str | Path = DEFAULT_RESULTS,
    *,
    gold: str | None = None,
    said: str | None = None,
    split: str = "test",
    csv: str | Path | None = None,
) -> ErrorList:
    """The wrong rows of an experiment, the surest first; of generated texts those that share the fewest words.

    Args:
        experiment: its name, the beginning of its id, or `best`.
        results_path: the results folder.
        gold: only rows with this gold label.
        said: only rows for which this label was predicted.
        split: `test` or `dev`.
        csv: a file for spreadsheets that they are written to; texts that would run as formulas have an apostrophe in
            front.

    Raises:
        UserError: none, or several, are meant, it has no predictions, or a label is not its own.
    """
    request = ErrorRequest(gold, said, split)
    folder = ResultsFolder(Path(results_path).resolve())
    meant = _meant(folder, experiment)
    collected = collect([folder])
    records = {(one.name, one.id): one for one in (*collected.others, *collected.in_grid)}
    found = error_list(records[meant.name, meant.key], request)
    if csv is not None:
        write_text(_file(Path(csv)), error_csv(found))
    return found


def suspects(
    experiment: str = "best",
    results_path: str | Path = DEFAULT_RESULTS,
    *,
    split: str = "test",
    csv: str | Path | None = None,
) -> SuspectList:
    """The rows of an experiment's board that every run of every leading set-up contradicts: their gold may be wrong.

    Args:
        experiment: the name, the beginning of the id, or `best`, of one that has a result.
        results_path: the results folder.
        split: `test` or `dev`.
        csv: a file that they are written to; with its column `gold` corrected, `dataset.corrections` takes it.

    Raises:
        UserError: none, or several, are meant, or its board has no label probabilities.
    """
    request = ErrorRequest(split=split)
    folder = ResultsFolder(Path(results_path).resolve())
    meant = _meant(folder, experiment)
    boards = with_statistics(build_leaderboard([folder])).boards
    board = next((one for one in boards if any(record.id == meant.key for record in one.records)), None)
    if board is None:
        raise UserError(f"{meant.name} has no result yet, so it is on no board; `sft status` says what is missing")
    found = suspects_of(board.groups, request.split)
    if found is None:
        raise UserError(
            f"the board of {meant.name} has no label probabilities of {split} rows; only gold labels can be doubted"
        )
    if csv is not None:
        write_text(_file(Path(csv)), suspect_csv(found))
    return found


def _meant(folder: ResultsFolder, experiment: str) -> ListedExperiment:
    """The experiment that a user means.

    Raises:
        UserError: there is none, or several are meant.
    """
    view = view_of(folder)
    found = find_experiment(view, experiment, lambda: leading_id(folder))
    if found is None:
        raise unknown(view, experiment)
    return found


def _file(path: Path) -> Path:
    """The path, where a file can be.

    Raises:
        UserError: a folder is there, or something that is no folder is above it.
    """
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not above.is_dir():
        raise UserError(
            f"--csv {path}: {path if path.is_dir() else above} is {'a folder' if path.is_dir() else 'a file'}"
        )
    return path
