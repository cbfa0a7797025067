"""Content hashes of files and folders; those of big files are remembered between runs.

Reading a 15 GB model to hash it takes a minute, and every plan asks for it. So the hash of a file over 64 MB is kept
in the user's cache folder under the file's path, size, modification time and inode; a change changes one of these.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from sft.exceptions import MachineError
from sft.runs.atomic import write_text

REMEMBERED_FROM_BYTES = 64 * 2**20


def cache_folder() -> Path:
    """The project's own folder in the user's cache: `$XDG_CACHE_HOME/sft`, else `~/.cache/sft`."""
    written = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(written) if os.path.isabs(written) else Path.home() / ".cache") / "sft"


def files_sha256(path: Path) -> str:
    """Hex sha256 of a file's bytes, or of a folder's relative file names with the sha256 of each.

    Hidden files and folders (`.git`, `.cache`) and compiled Python are no content of a folder.

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    if not path.is_dir():
        return _file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(_content(path)):
        name = file.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
        digest.update(name + b"\0" + _file_sha256(file).encode() + b"\n")
    return digest.hexdigest()


def _content(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
            yield file


def _file_sha256(path: Path) -> str:
    status = path.stat()
    if status.st_size <= REMEMBERED_FROM_BYTES:
        return _read_sha256(path)
    identity = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}"
    name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()
    remembered = cache_folder() / "hashes" / name
    with contextlib.suppress(OSError):
        return remembered.read_text("ascii")
    found = _read_sha256(path)
    with contextlib.suppress(OSError, MachineError):  # a cache that cannot be written costs time, nothing else
        write_text(remembered, found)
    return found


def _read_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
