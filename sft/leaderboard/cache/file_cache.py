"""`cache/board.npz` of a results folder: what was made of its files, for as long as these files are as they were.

A file is known by its inode, size, and times of its last change, so an edited one is read again; what the content must
be is for manifests and `verify` to say. Whoever deletes the cache, or cannot write it, loses time alone.
"""

import contextlib
import functools
import hashlib
import json
import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sft.exceptions import MachineError
from sft.leaderboard.cache.parts import Parts, Split
from sft.runs.array_files import read_arrays
from sft.runs.atomic import atomic_file
from sft.runs.files import ResultsFolder
from sft.runs.records import read_json_or_none

_STATE = struct.Struct("<5q")
_TOO_NEW_NS = 2_000_000_000
"""A file that changed so shortly ago may change again without its times telling."""
_WORTH_WRITING = 100
"""The cache is written again once more than one in so many of its entries is new."""

_LARGE = 1 << 16
"""Of what is remembered, in characters: of long texts the cache would outgrow the results."""

Signature = bytes
_Entry = tuple[Signature, int, int]
"""State of the files, numbers of their names and of the value."""


@functools.cache
def _made_by() -> str:
    """What another program's values differ in: the state of this one's files."""
    package = Path(__file__).parents[2]
    files = sorted(package.rglob("*.py"))
    stats = ((path, path.stat()) for path in files)
    states = [(str(path.relative_to(package)), own.st_size, own.st_mtime_ns) for path, own in stats]
    return hashlib.sha256(repr(states).encode()).hexdigest()


class FileCache:
    """Values by name, each valid while some files of the folder stay as they are."""

    def __init__(self, results: ResultsFolder, parts: Parts, entries: dict[str, _Entry], *, keeps: bool) -> None:
        """
        Args:
            results: the folder.
            parts: of the values.
            entries: by name.
            keeps: whether more values are kept, to be written.
        """
        self.parts = parts
        self._keeps = keeps
        self._results = results
        self._prefix = str(results.path / "x")[:-1]
        self._entries = entries
        self._n_new = 0
        self._now = time.time_ns()

    def known(self, name: str) -> Any | None:
        """The value of a name; None where there is none or a file it was made of has changed."""
        entry = self._entries.get(name)
        if entry is None or self.signature(name, self.parts.value(entry[1])) != entry[0]:
            return None
        return self.parts.value(entry[2])

    def signature(self, name: str, files: Sequence[str]) -> Signature | None:
        """The state of files; None where one is not there or has just changed.

        Taken before the files are read, so that a change meanwhile is seen the next time.

        Args:
            name: of the value that is made of them, which begins with the folder in which they lie.
            files: named from there.
        """
        found, folder = b"", f"{self._prefix}{name[: name.rfind('/') + 1]}"
        for file in files:
            try:
                state = os.stat(f"{folder}{file}")
            except (OSError, ValueError):
                return None
            if self._now - max(state.st_mtime_ns, state.st_ctime_ns) < _TOO_NEW_NS:
                return None
            found += _STATE.pack(state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_mode)
        return found

    def keep(
        self, name: str, files: Sequence[str], signature: Signature | None, value: Any, split: Split | None = None
    ) -> Any:
        """The value, kept unless there is no signature; as a map whose parts are parsed when they are asked for.

        Args:
            name: of the value.
            files: of which it was made, as in `signature`.
            signature: of these, taken before.
            value: as JSON.
            split: as in `Parts.add`.
        """
        if signature is None or not self._keeps:
            return value
        try:
            number = self.parts.add(value, split)
        except RecursionError:
            return value
        self._entries[name] = signature, self.parts.add(list(files)), number
        self._n_new += 1
        return self.parts.value(number)

    def remember(self, beside: str, name: str, make: Callable[[], Any]) -> Any:
        """A JSON value that is made of the same files as another one, made anew where it is not known.

        Args:
            beside: name of the other value; where that is not known, nothing is kept.
            name: of this one, added to that.
            make: makes it.
        """
        full, entry = f"{beside} {name}", self._entries.get(beside)
        known = self.known(full)
        if known is not None or entry is None:
            return make() if known is None else known
        files = self.parts.value(entry[1])
        signature, value = self.signature(full, files), make()
        is_large = len(json.dumps(value)) > _LARGE
        return value if is_large else self.keep(full, files, signature, value)

    def name_of(self, path: str) -> str:
        """A path below the folder, from there."""
        return path.removeprefix(self._prefix)

    def json(self, path: str, split: Split) -> Any:
        """The content of a JSON file below the folder, None where it cannot be read."""
        name = self.name_of(path)
        known = self.known(name)
        if known is not None:
            return known
        files = [name[name.rfind("/") + 1 :]]
        signature, value = self.signature(name, files), read_json_or_none(Path(path))
        return self.keep(name, files, signature, value, split) if isinstance(value, dict) else value

    def write(self) -> None:
        """Write what is known, where that is worth it; not at all where the folder cannot be written."""
        if self._n_new * _WORTH_WRITING < len(self._entries) or not self._n_new:
            return
        signatures = [signature for signature, _, _ in self._entries.values()]
        arrays = {
            **self.parts.arrays(),
            "names": np.frombuffer(json.dumps(list(self._entries)).encode("ascii"), np.uint8),
            "signatures": np.frombuffer(b"".join(signatures), np.uint8),
            "sizes": np.array(list(map(len, signatures)), np.int64),
            "numbers": np.array([entry[1:] for entry in self._entries.values()], np.int32).reshape(-1, 2),
            "format": np.array(_made_by()),
        }
        with contextlib.suppress(OSError, MachineError), atomic_file(self._results.board_cache, durable=False) as file:
            np.savez(file, allow_pickle=False, **arrays)
        self._n_new = 0


def read_cache(results: ResultsFolder, *, keeps: bool = False) -> FileCache:
    """The cache of a results folder; an empty one where there is none, or none that can be read.

    Args:
        results: the folder.
        keeps: whether what is new is kept, for `FileCache.write`.
    """
    try:
        arrays = read_arrays(results.board_cache)
        if str(arrays["format"]) != _made_by():
            return FileCache(results, Parts(), {}, keeps=keeps)
        names, content = json.loads(arrays["names"].tobytes()), arrays["signatures"].tobytes()
        ends = np.cumsum(arrays["sizes"]).tolist()
        signatures = [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        entries = {
            name: (signature, *numbers)
            for name, signature, numbers in zip(names, signatures, arrays["numbers"].tolist(), strict=True)
        }
        return FileCache(results, Parts(arrays), entries, keeps=keeps)
    except (OSError, ValueError, KeyError, IndexError):
        return FileCache(results, Parts(), {}, keeps=keeps)
