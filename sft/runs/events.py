"""`events.jsonl`: one line per change of state, in the order of its numbers, whatever the clock says.

The file is only ever added to. A crash can leave half a line at its end: readers pass over it and say so, and the next
writer ends it first, so that it never spoils the line that follows.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sft.runs.fence import require_in_place

SCHEMA = 1
_TAIL_BYTES = 65536


@dataclass(frozen=True)
class Event:
    """A change of a job's state."""

    seq: int
    """Rises by one with every event of a results folder."""
    time: str
    """UTC, for people; no order follows from it."""
    job: str
    """The job's folder, relative to the results folder."""
    stage: str
    state: str
    attempt: int = 0
    error: str | None = None
    """Kind of the error, where there is one."""
    schema: int = SCHEMA


@dataclass(frozen=True)
class Events:
    """What could be read of an event log."""

    events: tuple[Event, ...]
    ignored: int
    """Lines that are torn or are no events."""


class EventLog:
    """Adds to and reads one event log; only the holder of the folder's lock adds to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next: int | None = None

    def append(self, job: str, stage: str, state: str, attempt: int, error: str | None) -> None:
        """Add a line.

        Args:
            job: the job's folder, relative to the results folder.
            stage: the stage that the state is about.
            state: the new one.
            attempt: number of the try, from 1; 0 before the first.
            error: kind of the error, if any.

        Raises:
            OSError: it could not be written whole; what was written of it is passed over by readers.
            MachineError: the folder that this process holds is not there any more.
        """
        require_in_place(self._path)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o666)
        try:
            if self._next is None:
                self._next = _continue(descriptor)
            seq, self._next = self._next, None
            event = Event(seq, utc_now(), job, stage, state, attempt, error)
            _write(descriptor, json.dumps(asdict(event)) + "\n")
            self._next = seq + 1
        finally:
            os.close(descriptor)

    def read(self) -> Events:
        """All events there are; none where there is no log."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        found = [event_of(line) for line in lines if line.strip()]
        events = tuple(event for event in found if event is not None)
        return Events(events, ignored=len(found) - len(events))


def event_of(line: bytes) -> Event | None:
    """The event of a line, None when it is torn or is no event."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    number, attempt, error = record.get("seq", 0), record.get("attempt", 0), record.get("error")
    time, job, stage, state = (record.get(name) for name in ("time", "job", "stage", "state"))
    if not (isinstance(number, int) and isinstance(attempt, int)):
        return None
    if not (isinstance(time, str) and isinstance(job, str) and isinstance(stage, str) and isinstance(state, str)):
        return None
    return Event(number, time, job, stage, state, attempt, error if isinstance(error, str) else None)


def utc_now() -> str:
    """The wall clock for people: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _continue(descriptor: int) -> int:
    """End a torn last line, and give the number that follows the last valid one."""
    size = os.fstat(descriptor).st_size
    length = min(size, _TAIL_BYTES)
    while True:
        tail = os.pread(descriptor, length, size - length)
        known = [event for event in map(event_of, tail.splitlines()) if event is not None]
        if known or length == size:
            break
        length = min(size, length * 16)
    if tail and not tail.endswith(b"\n"):
        _write(descriptor, "\n")
    return known[-1].seq + 1 if known else 1


def _write(descriptor: int, text: str) -> None:
    left = text.encode("utf-8", "surrogatepass")
    while left:
        left = left[os.write(descriptor, left) :]
