"""Folders that this process holds by an open lock file: nothing is written where another folder took their place.

A folder that is renamed, deleted or replaced under way leaves its path to someone else, while a lock holds on to the
file it was taken on; so path and file are compared.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sft.errors import MachineError

_held: dict[int, Path] = {}
"""Descriptor -> the lock file's path."""


@contextlib.contextmanager
def holding(lock: Path, descriptor: int) -> Iterator[None]:
    """In this block, writes below the folder of a lock file need that file in its place.

    Args:
        lock: its path.
        descriptor: it is open under this one.
    """
    _held[descriptor] = lock
    try:
        yield
    finally:
        del _held[descriptor]


@contextlib.contextmanager
def holding_read(lock: Path) -> Iterator[None]:
    """As `holding`, for a helper of the process that has the lock; without a lock file nothing is compared."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield
        return
    try:
        with holding(lock, descriptor):
            yield
    finally:
        os.close(descriptor)


def require_in_place(path: Path) -> None:
    """Refuse to go on at a path whose folder is not the one that is held.

    Raises:
        MachineError: it was moved, deleted or replaced.
    """
    for descriptor, lock in list(_held.items()):
        if path.is_relative_to(lock.parent) and not _is_in_place(lock, descriptor):
            raise MachineError(
                f"{lock.parent}: is not the folder any more that was locked at the start: it was moved, deleted or "
                "replaced. Nothing more is written there, and what ran was ended. Put it back, or keep what there is "
                "now, and run the same command.",
                kind="refused",
            )


def _is_in_place(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(lock, follow_symlinks=False), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
