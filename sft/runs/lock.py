"""The lock of a results folder: held by the process, not by the file, so that nothing is stale after a crash.

The text in the file is for messages only. A reader that asks whether a run is active holds the lock for a moment,
shared; a run therefore tries a little longer than that before it gives up.
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from sft.exceptions import FolderInUse, MachineError
from sft.runs.fence import holding, require_in_place
from sft.runs.file_systems import flock
from sft.runs.files import ResultsFolder

PATIENCE_SECONDS = 0.1
"""Longer than any reader holds the lock, too short for a person to notice."""
_PAUSE_SECONDS = 0.005
STARTING = "its grid is not written yet"
"""Second line of the lock's text until `settle`."""
UNKNOWN_HOLDER = "another process"


@contextlib.contextmanager
def locked(results: ResultsFolder, *, starting: bool = False) -> Iterator[None]:
    """Hold the folder's lock for the block; nothing is written there when another folder takes its place.

    Args:
        results: the folder.
        starting: whether the block has yet to say, by `settle`, that the folder's grid names what it needs.

    Raises:
        FolderInUse: another process holds it.
        MachineError: the folder cannot be made or written.
    """
    try:
        results.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(results.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise MachineError(f"{results.path}: cannot be used as results folder: {error.strerror}") from None
    try:
        if not _take(descriptor, results):
            holder = _text(descriptor)
            by = f" ({holder})" if holder else ""
            raise FolderInUse(
                f"{results.path}/ is in use by another run{by}. Wait for it, stop it, or choose --results-path."
            )
        os.ftruncate(descriptor, 0)
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        holder = f"pid {os.getpid()} on host {socket.gethostname()}, since {since}\n"
        os.write(descriptor, (holder + (f"{STARTING}\n" if starting else "")).encode())
        with holding(results.lock, descriptor):
            yield
    finally:
        os.close(descriptor)


def settle(results: ResultsFolder) -> None:
    """Say that the grid of the folder is that of the run which holds its lock; to be called by that run."""
    require_in_place(results.lock)
    with results.lock.open("r+b") as file:
        file.readline()
        file.truncate()


def is_starting(results: ResultsFolder) -> bool:
    """Whether the run that holds the lock, or the last one that did, has not settled what it needs of the folder."""
    try:
        return results.lock.read_text("utf-8").splitlines()[1:] == [STARTING]
    except (OSError, ValueError):
        return False


def lock_holder(results: ResultsFolder) -> str | None:
    """Who holds the folder's lock, as they wrote it there; None where nobody does."""
    try:
        descriptor = os.open(results.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, results.path)
    except BlockingIOError:
        return _text(descriptor) or UNKNOWN_HOLDER
    else:
        return None
    finally:
        os.close(descriptor)


def _take(descriptor: int, results: ResultsFolder) -> bool:
    """Whether the lock could be taken; a reader that holds it is waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, results.path)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_SECONDS)
        else:
            return True


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 1000, 0).decode("utf-8", "replace").partition("\n")[0].strip()
