"""Writing that is either whole or absent, also after a crash or power loss.

The text goes to a temporary file in the same folder (so that the rename cannot cross file systems), is flushed to
the disk, takes the final name in one step, and then the folder itself is flushed so that the name survives too.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sft.processes import fault_injection
from sft.runs.fence import require_in_place
from sft.runs.file_systems import fsync, make_folder

TEMPORARY_PREFIX = ".tmp-"


@contextlib.contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends without an exception.

    Args:
        path: its final name.
        durable: whether it must survive a power loss; false for what is made anew from what does.

    Raises:
        MachineError: the folder that this process holds is not there any more, or no folder can be there.
    """
    require_in_place(path)
    fault_injection.before_write(path)
    descriptor, temporary = _temporary_beside(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if durable:
                fsync(file.fileno(), path)
        require_in_place(path)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename in (None, temporary):
            error.filename = str(path)  # a failed write does not say where, and the temporary name says nothing
        raise
    if durable:
        flush(path.parent)
    fault_injection.after_write()


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write UTF-8 text atomically; lone surrogates are kept as their own bytes."""
    with atomic_file(path, durable=durable) as file:
        file.write(text.encode("utf-8", "surrogatepass"))


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write indented JSON atomically; a non-finite number is an error, so that no reader meets `NaN`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False) + "\n", durable=durable)


def flush(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fsync(descriptor, path)
    finally:
        os.close(descriptor)


def _temporary_beside(path: Path) -> tuple[int, str]:
    """A new file in the same folder, open for writing, and its name; a missing folder is made."""
    try:
        return _new_file(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
    make_folder(path.parent)
    return _new_file(path)


def _new_file(path: Path) -> tuple[int, str]:
    folder = os.path.dirname(path)
    while True:
        name = os.path.join(folder, f"{TEMPORARY_PREFIX}{os.urandom(6).hex()}")
        with contextlib.suppress(FileExistsError):
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666), name


def write_json_lines(path: Path, records: Iterable[Any]) -> None:
    """Write one JSON value per line, atomically; non-ASCII text is escaped, so that no line breaks inside a value."""
    with atomic_file(path) as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n")
