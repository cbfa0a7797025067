"""What the runner writes about its jobs: `status.json` and `events.jsonl`, also on a disk that is full for a while."""

from collections.abc import Callable
from pathlib import Path

from sft.exceptions import NO_SPACE_ERRNOS
from sft.runs.deletion import make_room
from sft.runs.events import EventLog
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import StatusRecord, write_record
from sft.wording import shown_path


class Journal:
    """Writes states; what finds no space is kept and written later. Nothing is ever made done by it."""

    def __init__(self, results: ResultsFolder, say: Callable[[str], None]) -> None:
        """
        Args:
            results: the results folder.
            say: shows a line to the user.
        """
        self._results = results
        self._say = say
        self._log = EventLog(results.events)
        self._events: list[tuple[str, str, str, int, str | None]] = []
        self._statuses: dict[Path, StatusRecord] = {}
        self._told = False

    @property
    def unwritten(self) -> int:
        """Jobs whose last state, and events, that are not on the disk yet."""
        return len(self._statuses) + len(self._events)

    def record(self, folder: JobFolder, status: StatusRecord) -> None:
        """A job has a new state."""
        error = None if status.error is None else status.error.kind
        job = folder.path.relative_to(self._results.path).as_posix()
        self._events.append((job, status.stage, status.state, status.attempt, error))
        self.update(folder, status)

    def update(self, folder: JobFolder, status: StatusRecord) -> None:
        """More is known of a job in the state it has."""
        self._statuses[folder.path] = status
        self.flush()

    def make_room(self, folder: JobFolder) -> None:
        """Move folders out of the way that stand where a job's records belong, and say so."""
        for path in (folder.status, folder.job, folder.progress, folder.manifest):
            moved = make_room(self._results, path)
            if moved is not None:
                self._say(f"{shown_path(path)} was a folder and was moved to {shown_path(moved)}")

    def flush(self) -> None:
        """Write what is not written yet.

        Raises:
            OSError: for another reason than missing space.
        """
        try:
            for path in list(self._statuses):
                self.make_room(JobFolder(path))
                write_record(JobFolder(path).status, self._statuses[path])
                del self._statuses[path]
            while self._events:
                self._log.append(*self._events[0])
                del self._events[0]
        except OSError as error:
            if error.errno not in NO_SPACE_ERRNOS:
                raise
            if not self._told:
                self._told = True
                self._say(f"no space left while writing {error.filename or self._results.events}; it is tried again")
