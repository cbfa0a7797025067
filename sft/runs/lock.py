"""The lock of a results folder: held by the process, not by the file, so that nothing is stale after a crash.

The text in the file is for messages only. A reader that asks whether a run is active holds the lock for a moment,
shared; a run therefore tries a little longer than that before it gives up. Where the file system locks no files, a
claim beside it takes the place of the lock.
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sft.exceptions import FolderInUse, MachineError
from sft.runs.claims.claim import BEAT_SECONDS, Claimed, claimed, holder_of
from sft.runs.fence import holding, require_in_place
from sft.runs.file_systems import flock
from sft.runs.files import ResultsFolder
from sft.runs.notices import say

PATIENCE_SECONDS = 0.1
"""Longer than any reader holds the lock, too short for a person to notice."""
_PAUSE_SECONDS = 0.005
STARTING = "its grid is not written yet"
"""Second line of the lock's text until `settle`."""
UNKNOWN_HOLDER = "another process"
CLAIMED = f"locks no files: a run claims a folder by another one in it, and renews that every {BEAT_SECONDS:g} s"


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
    with contextlib.ExitStack() as held:
        held.callback(os.close, descriptor)
        try:
            if not _take(descriptor, results):
                held.enter_context(_claimed(results))
        except (BlockingIOError, Claimed) as refused:
            holder = (str(refused) if isinstance(refused, Claimed) else "") or _text(descriptor)
            by = f" ({holder})" if holder else ""
            raise FolderInUse(
                f"{results.path}/ is in use by another run{by}. Wait for it, stop it, or choose --results-path."
            ) from None
        os.ftruncate(descriptor, 0)
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        holder = f"pid {os.getpid()} on host {socket.gethostname()}, since {since}\n"
        os.write(descriptor, (holder + (f"{STARTING}\n" if starting else "")).encode())
        with holding(results.lock, descriptor):
            yield


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
    """Who holds the folder's lock, as they wrote it there; None where nobody does.

    Raises:
        MachineError: the lock, or what takes its place, cannot be read.
    """
    try:
        descriptor = os.open(results.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(results.lock, error) from None
    try:
        if flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, results.path, CLAIMED):
            return None
        claimed_by = _claim_holder(results)
        return claimed_by if claimed_by is None else claimed_by or _text(descriptor) or UNKNOWN_HOLDER
    except BlockingIOError:
        return _text(descriptor) or UNKNOWN_HOLDER
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _claimed(results: ResultsFolder) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(claimed(results.claims, say))
        except OSError as error:
            raise _unusable(results.claims, error) from None
        yield


def _claim_holder(results: ResultsFolder) -> str | None:
    try:
        return holder_of(results.claims)
    except OSError as error:
        raise _unusable(results.claims, error) from None


def _unusable(place: Path, error: OSError) -> MachineError:
    """What a user is told of a lock, or a folder of claims, that is not as a run makes it."""
    return MachineError(
        f"{error.filename or place}: cannot be used: {error.strerror}. With {place.name} a run shows that it uses "
        f"{place.parent}/; let this user read and write it, or move it away where no run is active.",
        kind="refused",
    )


def _take(descriptor: int, results: ResultsFolder) -> bool:
    """Lock the file, False where the file system has no locks; a reader that holds it is waited for.

    Raises:
        BlockingIOError: another run holds it.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, results.path, CLAIMED)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_SECONDS)


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 1000, 0).decode("utf-8", "replace").partition("\n")[0].strip()
