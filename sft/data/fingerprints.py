"""Hashes of the files that a split is read from."""

import functools
import hashlib
import json
import time
from pathlib import Path

from sft.data.sources import FileSplit, HubSplit, SavedSplit, SplitSource
from sft.exceptions import DataError, MachineError

SETTLED_SECONDS = 2.0
BLOCK_BYTES = 2**20


def source_sha256(source: SplitSource) -> str:
    """sha256 over the format and the content of a split's files; their names and places have no part in it.

    Raises:
        DataError: a saved data set lacks its files.
        MachineError: a file cannot be read.
    """
    match source:
        case FileSplit(files, kind):
            paths, form = list(files), kind
        case SavedSplit(folder):
            paths, form = _saved_files(folder), "saved"
        case HubSplit():
            raise TypeError("a hub split is known by its commit")
    text = json.dumps([form, *(_file_sha256(path) for path in paths)])
    return hashlib.sha256(text.encode()).hexdigest()


def _saved_files(folder: Path) -> list[Path]:
    """The Arrow files and the declared features; `state.json` holds a fingerprint that is new at every saving."""
    files = [*sorted(folder.glob("*.arrow")), folder / "dataset_info.json"]
    if len(files) == 1 or not files[-1].is_file():
        raise DataError(f"{folder}: not a saved data set: no Arrow file or no dataset_info.json")
    return files


def holds_byte(path: Path, byte: bytes) -> bool:
    """Whether a byte stands in a file.

    Raises:
        MachineError: it cannot be read.
    """
    try:
        status = path.stat()
        return _searched_once(path, byte, (status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError as error:
        raise MachineError(f"{path}: cannot be read: {error.strerror}") from error


@functools.lru_cache(maxsize=256)
def _searched_once(path: Path, byte: bytes, state: tuple[int, int, int]) -> bool:
    with path.open("rb") as file:
        return any(byte in block for block in iter(lambda: file.read(BLOCK_BYTES), b""))


def _file_sha256(path: Path) -> str:
    try:
        status = path.stat()
        if time.time() - status.st_mtime < SETTLED_SECONDS:
            return _hashed(path)  # a second change within the clock's tick would keep mtime and size
        return _hashed_once(path, (status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError as error:
        raise MachineError(f"{path}: cannot be read: {error.strerror}") from error


@functools.lru_cache(maxsize=256)
def _hashed_once(path: Path, state: tuple[int, int, int]) -> str:
    return _hashed(path)


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
