"""Logs of a size that can be kept and read: the middle of a flood is left out, secrets are masked at the end.

A log is cut where it lies: its writers have it open for appending, so that what they write next follows the cut.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sft.runs.files import AttemptFolder

_CHUNK = 1 << 20


@dataclass(frozen=True)
class LogSize:
    """Bytes of a log."""

    most: int = 20 << 20
    """Above which it is cut."""

    head: int = 2 << 20
    """That are kept of its beginning."""

    tail: int = 8 << 20
    """That are kept of its end."""


class Logs:
    """The output of one try of a job."""

    def __init__(self, attempt: AttemptFolder, size: LogSize) -> None:
        self._paths = (attempt.stdout, attempt.stderr)
        self._size = size
        self._left_out = dict.fromkeys(self._paths, 0)
        self._marker_bytes = dict.fromkeys(self._paths, 0)

    def cap(self) -> None:
        """Cut what has grown too long."""
        for path in self._paths:
            if _size_of(path) > self._size.most:
                self._cut(path)

    def close(self, mask: Callable[[str], str]) -> None:
        """Cut and mask what a job that has ended left."""
        self.cap()
        for path in self._paths:
            mask_log(path, mask)

    def _cut(self, path: Path) -> None:
        with path.open("r+b") as file:
            head = _whole_lines(file.read(self._size.head), self._size.head)
            end = file.seek(0, os.SEEK_END)
            file.seek(end - self._size.tail)
            tail = file.read(self._size.tail)
            tail = tail[tail.find(b"\n", 0, _CHUNK) + 1 :]
            self._left_out[path] += end - head - len(tail) - self._marker_bytes[path]
            marker = f"\n[... {self._left_out[path]} bytes left out ...]\n".encode()
            self._marker_bytes[path] = len(marker)
            file.seek(head)
            file.write(marker + tail)  # over what is there, so that it needs no space
            _move_back(file, end)
            file.truncate()


def _move_back(file: BinaryIO, end: int) -> None:
    """Move what was written behind `end` meanwhile to where the file stands; almost nothing of it is lost."""
    while True:
        here = file.tell()
        file.seek(end)
        more = file.read(_CHUNK)
        file.seek(here)
        if not more:
            return
        file.write(more)
        file.flush()
        end += len(more)


def mask_log(path: Path, mask: Callable[[str], str]) -> None:
    """Rewrite a log without its secrets, in its own place, so that it also works on a disk that is full.

    Args:
        path: the log.
        mask: takes secrets out of some lines; it may make them a little longer.
    """
    if not any(written != masked for written, masked in _masked_parts(path, mask)):
        return
    with path.open("r+b") as file:
        held = b""
        n_read = 0
        for written, masked in _masked_parts(path, mask):
            n_read += len(written)
            held += masked
            part, held = held[: n_read - file.tell()], held[n_read - file.tell() :]  # never over what is not read yet
            file.write(part)
        file.write(held)
        file.truncate()


def _masked_parts(path: Path, mask: Callable[[str], str]) -> Iterator[tuple[bytes, bytes]]:
    """Some lines of a log, as they are and without secrets; what is no text stays as it is."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while written := file.read(_CHUNK) + file.readline():
            text = written.decode("utf-8", "surrogateescape")
            yield written, mask(text).encode("utf-8", "surrogateescape")


def _whole_lines(head: bytes, most: int) -> int:
    """How much of a head to keep so that it ends with a line, if its lines are not too long for that."""
    end = head.rfind(b"\n") + 1
    return end if end > most // 2 else most


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
