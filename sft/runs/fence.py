"""Where this process may not write any more: a folder that was replaced, a job that another try works on.

A folder that is renamed, deleted or replaced under way leaves its path to someone else, while a lock holds on to the
file it was taken on; so path and file are compared. A job has a file that names the try in force; a process of an
earlier try, on a node that was given up, writes in its own folder only.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from sft.exceptions import MachineError


class TakenOver(MachineError):
    """Another run has the folder now, and with it what this one left to a cluster."""


_held: dict[int, Path] = {}
"""Descriptor -> the lock file's path."""

_claims: dict[Path, Callable[[], bool]] = {}
"""Folder -> asks whether this process still holds its claim of it."""

_tries: dict[Path, Path] = {}
"""File that names the try in force -> the folder of the one that this process works for."""


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
def holding_claim(folder: Path, is_held: Callable[[], bool]) -> Iterator[None]:
    """In this block, writes below a folder need the claim of it to be held.

    Args:
        folder: it was claimed, because its file system locks no files.
        is_held: asked before each write whether it still is.
    """
    _claims[folder] = is_held
    try:
        yield
    finally:
        del _claims[folder]


@contextlib.contextmanager
def working_for(attempt: Path, in_force: Path) -> Iterator[None]:
    """In this block, writes below a job's folder, but in the try's own, need that try to be in force.

    Args:
        attempt: the folder of the try.
        in_force: the file beside its parent that names the try in force.
    """
    _tries[in_force] = attempt
    try:
        yield
    finally:
        del _tries[in_force]


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
        MachineError: it was moved, deleted or replaced, or another try is in force there.
        TakenOver: another run has claimed it since.
    """
    for descriptor, lock in list(_held.items()):
        if _is_below(path, lock.parent) and not _is_in_place(lock, descriptor):
            raise MachineError(
                f"{lock.parent}: is not the folder any more that was locked at the start: it was moved, deleted or "
                "replaced. Nothing more is written there, and what ran was ended. Put it back, or keep what there is "
                "now, and run the same command.",
                kind="refused",
            )
    for folder, is_held in list(_claims.items()):
        if _is_below(path, folder) and not is_held():
            raise TakenOver(
                f"{folder}: another run has taken this folder over, because nothing was heard of this one: its "
                "machine stood still, or could not write there. This one writes nothing more, and what it ran on this "
                "machine was ended.",
                kind="refused",
            )
    for in_force, attempt in list(_tries.items()):
        is_theirs = _is_below(path, in_force.parent) and not _is_below(path, attempt)
        if is_theirs and (named := _named(in_force)) != attempt.name:
            raise MachineError(
                f"{in_force.parent}: try {named or 'none'} is in force there, and this is try {attempt.name}; it "
                "writes nothing more.",
                kind="refused",
            )


def _is_below(path: Path, folder: Path) -> bool:
    """As `is_relative_to`, which takes ten times as long; it is asked twice for each file."""
    parts = folder.parts
    return path.parts[: len(parts)] == parts


def _named(in_force: Path) -> str | None:
    try:
        return in_force.read_text("utf-8").strip()
    except OSError:
        return None


def _is_in_place(lock: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(lock, follow_symlinks=False), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
