"""Taking things out of a results folder: never through a link, never outside it.

A link is removed as the link it is; what lies below a linked folder belongs to someone else and is left alone.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from sft.runs.files import ResultsFolder


def is_within(results: ResultsFolder, path: Path) -> bool:
    """Whether a path lies in the results folder, with no link among the folders between."""
    try:
        parts = path.relative_to(results.path).parts
    except ValueError:
        return False
    if not parts or ".." in parts:
        return False
    folder = results.path
    for part in parts[:-1]:
        folder = folder / part
        if not is_folder(folder):
            return False
    return True


def delete(results: ResultsFolder, path: Path) -> None:
    """Delete a file, a link, or a folder with all that is in it; what is not there is fine.

    Raises:
        ValueError: it does not lie in the results folder.
        OSError: it could not be deleted.
    """
    if not is_within(results, path):
        raise ValueError(f"{path} is not in {results.path}")
    if is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def set_aside(results: ResultsFolder, path: Path) -> Path:
    """Move a file, link or folder to the trash, under a name of its own there, and return its new place.

    Where the trash lies behind a link or on another disk, it goes beside its old place.

    Raises:
        ValueError: it does not lie in the results folder.
    """
    if not is_within(results, path):
        raise ValueError(f"{path} is not in {results.path}")
    if results.trash.is_symlink():
        results.trash.unlink()
    results.trash.mkdir(parents=True, exist_ok=True)
    if is_within(results, results.trash / "any"):
        name = "-".join(path.relative_to(results.path).parts)
        try:
            return path.rename(_unused(results.trash / name))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    return path.rename(_unused(path.parent / f".{path.name}"))


def _unused(path: Path) -> Path:
    number = 1
    while os.path.lexists(f"{path}-{number}"):
        number += 1
    return Path(f"{path}-{number}")


def make_room(results: ResultsFolder, path: Path) -> Path | None:
    """Move a folder to the trash that stands where a file belongs; its new place, None where there is none."""
    return set_aside(results, path) if is_folder(path) and is_within(results, path) else None


def size_on_disk(path: Path) -> int:
    """Bytes of all regular files in a folder, or of one; links count nothing."""
    if not is_folder(path):
        return _size(path)
    return sum(_size(file) for file in files_below(path))


def files_below(folder: Path, prefix: str = "") -> Iterator[Path]:
    """Every file and link in a folder and its folders whose name begins so; linked folders are not entered."""
    waiting = [os.fspath(folder)]
    while waiting:
        entries: list[os.DirEntry[str]] = []
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as found:
            entries = list(found)
        for entry in entries:
            if _names_folder(entry):
                waiting.append(entry.path)
            elif entry.name.startswith(prefix):
                yield Path(entry.path)


def _names_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # the file system did not say so with the name
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there that is no link to one; not where nobody may look."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
