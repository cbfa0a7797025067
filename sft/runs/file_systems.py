"""Calls that some file systems refuse and that a run can do without: locks, flushing, permissions.

Network, cloud and container file systems lack one or the other. It is said once per kind of call and process, with
what is lost by it; everything else goes on.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from sft.exceptions import MachineError
from sft.runs.notices import say_once

Call = Literal["flock", "fsync", "chmod"]

REFUSED = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK, errno.EPERM)
"""Of an `OSError`: not what went wrong this time, but that the call never works there."""

LOST: dict[Call, str] = {
    "flock": "locks no files: nothing keeps a second process from writing there at the same time",
    "fsync": "cannot be told to write to the disk at once: a power loss may take the newest results",
    "chmod": "sets no permissions: files have those that it gives them",
}


def flock(descriptor: int, operation: int, path: Path, instead: str = LOST["flock"]) -> bool:
    """Lock an open file; whether the file system has locks.

    Args:
        descriptor: of the file.
        operation: as `fcntl.flock` takes it.
        path: what the user is told of, where it has none.
        instead: what the user is told then.

    Raises:
        BlockingIOError: another process holds it.
    """
    with _may_be_refused("flock", path, instead):
        fcntl.flock(descriptor, operation)
        return True
    return False


def fsync(descriptor: int, path: Path) -> None:
    """Flush an open file or folder to the disk, where the file system can be told to.

    Raises:
        OSError: it could not be written.
    """
    with _may_be_refused("fsync", path):
        os.fsync(descriptor)


def look_anew(folder: Path) -> None:
    """List a folder, after which a network disk looks anew for files that it remembers as missing there."""
    with contextlib.suppress(OSError):
        os.listdir(folder)


def make_folder(path: Path) -> None:
    """Make a folder with its parents, unless it is there.

    Raises:
        MachineError: a file, or a link that leads to no folder, stands in its place or a parent's.
        OSError: it could not be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ELOOP):
            raise
        places = (part for part in (path, *path.parents) if os.path.lexists(part) and not os.path.isdir(part))
        taken = next(places, path)
        leads = f"a link to {os.readlink(taken)}, which is no folder" if taken.is_symlink() else "no folder"
        raise MachineError(f"{taken}: a folder is needed here, and this is {leads}; move it away") from error


def chmod(path: Path, mode: int) -> None:
    """Set the permissions of a file, where the file system has them."""
    with _may_be_refused("chmod", path.parent):
        os.chmod(path, mode)


def equal_modes(folder: Path, like: str) -> None:
    """Give all files of a folder the permissions of one of them."""
    for file in folder.iterdir():
        chmod(file, stat.S_IMODE((folder / like).stat().st_mode))


def _never(_source: Path, _target: Path) -> bool:
    return False


def copy_folder(source: Path, target: Path, is_copied: Callable[[Path, Path], bool] = _never) -> None:
    """Copy the files of a folder into another, over what is there, with the permissions of new files.

    Args:
        source: the folder.
        target: the other; it need not be there.
        is_copied: whether a file of `source` and its place in `target` are equal, so that it is not copied again.

    Raises:
        OSError: one could not be copied.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        elif not is_copied(path, place):
            shutil.copyfile(path, place)


@contextlib.contextmanager
def _may_be_refused(call: Call, path: Path, lost: str | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        lost = lost or LOST[call]
        say_once(lost, f"the file system of {path} {lost} ({call}: {error.strerror})")
