"""What the holder of a results folder's lock puts in order before the first job starts.

A run that was killed, or a file that was damaged since, leaves traces: files half written, a status that says
`running`, results that are not those of their manifest. Nothing is lost by this: what cannot be read, and what will be
replaced, goes to the trash.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from sft.experiments.running.log_files import Logs, LogSize
from sft.experiments.running.settings import masking
from sft.runs.atomic import TEMPORARY_PREFIX
from sft.runs.chains import Ended, SubmittedTry, read
from sft.runs.deletion import delete, files_below, is_folder, is_within, set_aside
from sft.runs.events import EventLog, utc_now
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JOB_STAGES, State, StatusRecord, read_status, write_record
from sft.runs.states import FINISHED, UNDER_WAY, executor_of, standing_of
from sft.wording import shown_path

SETTLED_SECONDS = 60.0
Say = Callable[[str], None]


def sweep(results: ResultsFolder, planned: Collection[JobFolder], say: Say) -> frozenset[Path]:
    """Put a results folder in order; the caller holds its lock.

    Returns:
        The folders of the jobs that are found to have ended with their results while nobody wrote that down.

    Args:
        results: the results folder.
        planned: the folders of the jobs that this run may run; it looks after what became of these itself.
        say: shows a line to the user.
    """
    if not results.path.is_dir():
        return frozenset()
    for path in temporary_files(results):
        delete(results, path)
    own = {folder.path for folder in planned}
    log = EventLog(results.events)
    finished = set()
    for folder in job_folders(results):
        status = read_status(folder.status)
        if status is None:
            _set_unreadable_status_aside(folder, results, say)
        elif folder.path not in own and _close_lost(folder, status, results, log) in FINISHED:
            finished.add(folder.path)
    for folder in (folder for folder in planned if folder.path.is_dir()):  # of a new grid none
        _set_links_aside(folder, results)
        _set_damaged_results_aside(folder, results, say)
    return frozenset(finished)


def job_folders(results: ResultsFolder) -> Iterator[JobFolder]:
    """Every job folder that lies in the results folder itself."""
    for stage in JOB_STAGES:
        folders = results.job_folders(stage)
        if folders and is_within(results, folders[0].path):
            yield from (folder for folder in folders if is_folder(folder.path))


def temporary_files(results: ResultsFolder) -> Iterator[Path]:
    """What writers left that were killed; the caller holds the lock, so that no job of this machine is being written.

    Those of a cluster may be, whose runner was killed. At the top someone without the lock may just write a
    leaderboard: only what was there long before this run counts, whose lock file was written at its start. The two
    times are those of one disk; the clock of this machine, which may be another's, is not asked.
    """
    for folder in (results.path / "stages", results.experiments):
        found = files_below(folder, TEMPORARY_PREFIX) if is_within(results, folder) else ()
        yield from (path for path in found if not _runs_elsewhere(path))
    for path in results.path.glob(f"{TEMPORARY_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            began = results.lock.stat().st_mtime
            if path.is_symlink() or (path.is_file() and began - path.stat().st_mtime > SETTLED_SECONDS):
                yield path


def _runs_elsewhere(path: Path) -> bool:
    """Whether the job that a file belongs to was handed to a cluster and has not said that it ended."""
    job = next((JobFolder(folder) for folder in path.parents if (folder / "attempts").is_dir()), None)
    tries = [] if job is None else [SubmittedTry(attempt.path) for attempt in job.attempts()]
    return any(tried.submission.exists() and not tried.ended.exists() for tried in tries[-1:])


def _set_unreadable_status_aside(folder: JobFolder, results: ResultsFolder, say: Say) -> None:
    """The next try would overwrite it, and what it held would be lost."""
    if folder.status.exists():
        moved = set_aside(results, folder.status)
        say(f"{shown_path(folder.status)} could not be read and was moved to {shown_path(moved)}")


def _close_lost(folder: JobFolder, status: StatusRecord, results: ResultsFolder, log: EventLog) -> State | None:
    """Say how a stage ended whose runner was killed or left it to a cluster, where nothing else will say so.

    Returns:
        How it ended; None where that is said already, or it goes on.
    """
    if status.state not in UNDER_WAY or executor_of(folder) is not None:
        return None
    found = standing_of(folder, is_locked=False)
    state: State = "interrupted" if found.state == "lost" or found.state == "damaged" else found.state
    closed = dataclasses.replace(found.status or status, state=state, error=found.error, ended=utc_now())
    for attempt in folder.attempts():
        Logs(attempt, LogSize()).close(masking(os.environ))
        told = read(SubmittedTry(attempt.path).ended, Ended)
        closed = closed if told is None else dataclasses.replace(closed, seconds=told.seconds)
    write_record(folder.status, closed)
    job = folder.path.relative_to(results.path).as_posix()
    log.append(job, closed.stage, closed.state, closed.attempt, None if closed.error is None else closed.error.kind)
    return state


def _set_links_aside(folder: JobFolder, results: ResultsFolder) -> None:
    """A stage writes into its own folder, never through a link to where someone else's files lie."""
    for path in (*folder.outputs(), folder.checkpoints):
        if path.is_symlink() and is_within(results, path):
            set_aside(results, path)


def _set_damaged_results_aside(folder: JobFolder, results: ResultsFolder, say: Say) -> None:
    """Keep what someone may have written into the results of a stage that is about to replace them."""
    if standing_of(folder, is_locked=True).state != "damaged":
        return
    moved = [set_aside(results, path) for path in folder.outputs() if is_within(results, path) and path.exists()]
    if moved:
        say(
            f"{shown_path(folder.path)}: its result files are not those of its manifest; it runs again, "
            f"and they were moved to {shown_path(results.trash)}/"
        )
