"""What an exception of a stage means: the kind of error that is recorded, and one line for people."""

import errno
import os
import shutil
from pathlib import Path

from sft.exceptions import LoadingOutOfMemory, SftError, machine_kind
from sft.runs.records import ErrorRecord

_MB = 1_000_000


def error_record(error: BaseException) -> ErrorRecord:
    """What is recorded of an exception.

    An error of the machine counts for more than the explanation that it was turned into: a model that could not be
    read because memory ran out is not a bad model.
    """
    if isinstance(error, LoadingOutOfMemory):
        return ErrorRecord(error.kind, str(error), at_loading=True)
    for cause in (error, error.__cause__):
        kind = None if cause is None or isinstance(cause, SftError) else machine_kind(cause)
        if cause is not None and kind == "disk_full":
            return ErrorRecord(kind, _disk_full(cause))
        if cause is not None and kind is not None:
            return ErrorRecord(kind, one_line(cause))
    if isinstance(error, SftError):
        return ErrorRecord(error.kind, str(error))
    return ErrorRecord("exception", one_line(error))


def one_line(error: BaseException) -> str:
    """Type and text of an exception."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _disk_full(error: BaseException) -> str:
    name = error.filename if isinstance(error, OSError) else None
    place = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else None
    folder = Path.cwd() if place is None else place.parent
    told = ""
    if folder.is_dir():
        told = f" (free {shutil.disk_usage(folder).free / _MB:.0f} MB on that file system)"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        told = " (the limit of a file's size is reached)"
    return f"no space left while writing {place.name if place else 'results'}{told}"
