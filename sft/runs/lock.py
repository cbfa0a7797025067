"""The lock of a results folder: held by the process, not by the file, so that nothing is stale after a crash."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

from sft.errors import FolderInUse, MachineError
from sft.runs.files import ResultsFolder


@contextlib.contextmanager
def locked(results: ResultsFolder) -> Iterator[None]:
    """Hold the folder's lock for the block.

    Raises:
        FolderInUse: another process holds it.
        MachineError: the folder cannot be made or written.
    """
    try:
        results.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(results.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise MachineError(f"{results.path}: cannot be used as results folder: {error.strerror}") from None
    try:
        _take(descriptor, results)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, results: ResultsFolder) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 1000).decode("utf-8", "replace").strip()
        by = f" ({holder})" if holder else ""
        raise FolderInUse(
            f"{results.path}/ is in use by another run{by}. Wait for it, stop it, or choose --results-path."
        ) from None
    os.ftruncate(descriptor, 0)
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    os.write(descriptor, f"pid {os.getpid()} on host {socket.gethostname()}, since {since}\n".encode())
