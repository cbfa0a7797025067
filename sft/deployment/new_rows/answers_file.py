"""The file that answers are appended to: one process at a time, and only whole groups of lines count."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sft.evaluation.predictions import json_line
from sft.exceptions import FolderInUse, UserError
from sft.runs.file_systems import flock, fsync
from sft.wording import shown_path


@dataclass(frozen=True)
class AnswersFile:
    """A file of answers that is open, and that no other process writes to."""

    path: Path
    file: BinaryIO

    def keep_whole(self, together: int, n_rows: int) -> int:
        """Cut off what a process that was killed left of a group, so that what follows is as if none had been.

        Args:
            together: lines of a group.
            n_rows: lines of the finished file, whose last group may be smaller.

        Returns:
            The lines that stay.

        Raises:
            UserError: they are not the answers to the first rows.
        """
        kept = _whole_groups(self.file, together, n_rows)
        if kept.n_lines and _index_of(kept.last_line) != kept.n_lines - 1:
            raise UserError(
                f"{shown_path(self.path)}: line {kept.n_lines} is not the answer to row {kept.n_lines - 1} (from 0), "
                "so it was changed since; choose another --output"
            )
        self.file.truncate(kept.n_bytes)
        self.file.seek(kept.n_bytes)
        return kept.n_lines

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write a group of answers through to the disk."""
        self.file.write("".join(f"{json_line(record)}\n" for record in records).encode())
        self.file.flush()
        fsync(self.file.fileno(), self.path)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[AnswersFile]:
    """The file, which is made where there is none.

    Raises:
        FolderInUse: another process writes to it.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b") as file:
        try:
            flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, path)
        except BlockingIOError:
            raise FolderInUse(f"{shown_path(path)}: another process writes answers to it") from None
        yield AnswersFile(path, file)


def whole_lines(path: Path, together: int | None, n_rows: int) -> int:
    """How many answers of a file stay when it is gone on with; 0 where there is none."""
    if together is None or not path.exists():
        return 0
    with path.open("rb") as file:
        return _whole_groups(file, together, n_rows).n_lines


@dataclass(frozen=True)
class _Kept:
    n_lines: int = 0
    n_bytes: int = 0
    last_line: bytes = b""


def _whole_groups(file: BinaryIO, together: int, n_rows: int) -> _Kept:
    """The lines of whole groups; a line without its end is none."""
    kept = _Kept()
    n_lines = n_bytes = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        n_lines, n_bytes = n_lines + 1, n_bytes + len(line)
        if n_lines % together == 0 or n_lines == n_rows:
            kept = _Kept(n_lines, n_bytes, line)
    return kept


def _index_of(line: bytes) -> int | None:
    try:
        index = json.loads(line)["index"]
    except (ValueError, KeyError, TypeError):
        return None
    return index if isinstance(index, int) else None
