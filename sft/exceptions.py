"""Errors that are told in one line; anything else that is raised is a bug and keeps its traceback."""

import errno
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

NO_SPACE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of an `OSError`: the disk, the quota or the limit of a file is reached."""

MACHINE_ERRNOS = (
    *NO_SPACE_ERRNOS,
    *(errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE),
    *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ETIMEDOUT),
    *(errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EXDEV),
)
"""Of an `OSError` that the machine must be changed for: what it lacks, forbids, has lost, or cannot do at all."""

ErrorKind = Literal[
    "config",
    "data",
    "model",
    "tokenizer",
    "network",
    "oom_gpu",
    "oom_host",
    "killed",
    "crash",
    "no_result",
    "diverged",
    "checkpoint",
    "disk_full",
    "refused",
    "timeout",
    "stall",
    "node_lost",
    "exception",
]

MACHINE_TEXTS: tuple[tuple[str, ErrorKind], ...] = (
    ("DefaultCPUAllocator: can't allocate memory", "oom_host"),
    ("not enough memory: you tried to allocate", "oom_host"),
    ("Cannot allocate memory", "oom_host"),
    ("std::bad_alloc", "oom_host"),
    ("out of memory", "oom_gpu"),
    ("STATUS_ALLOC_FAILED", "oom_gpu"),
    ("No space left on device", "disk_full"),
    ("Disk quota exceeded", "disk_full"),
    ("File too large (os error 27)", "disk_full"),
    ("No usable temporary directory", "disk_full"),
)
"""Libraries in other languages tell by their text alone what went wrong."""


def machine_kind(error: BaseException) -> ErrorKind | None:
    """The kind of an error for which the machine is the reason, None for any other.

    That of a GPU's memory is a `RuntimeError` to Python, so whoever catches one because a model may refuse what it is
    given must ask here first.
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "oom_host"
    if type(error).__name__ == "OutOfMemoryError":
        return "oom_gpu"
    if isinstance(error, OSError) and error.errno in NO_SPACE_ERRNOS:
        return "disk_full"
    text = str(error)
    return next((kind for part, kind in MACHINE_TEXTS if part in text), None)


class SftError(Exception):
    """A problem that the message alone explains: the thing, the bad value, what is allowed, what to do.

    Attributes:
        kind: what `error.json` and the leaderboard record.
        exit_code: what a command ends with when the error reaches it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, kind: ErrorKind = "exception") -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind


class UserError(SftError):
    """The user must change what they wrote, or the data or path it names."""

    exit_code = 2

    def __init__(self, message: str, *, kind: ErrorKind = "config") -> None:
        super().__init__(message, kind=kind)


class DataError(UserError):
    """A row, column, split, label or file of the data is not as it must be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="data")


class ChangedInput(DataError):
    """What is read is not what the plan saw.

    Attributes:
        name: of what changed.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} changed since the plan; run the same command again")
        self.name = name


class MachineError(SftError):
    """The machine must change: disk, permission, memory, GPU, network, a package that is not installed."""

    exit_code = 5


def machine_error(what: str, error: BaseException) -> MachineError | None:
    """The machine's part in an error that a library may have turned into one of its own; None where it has none.

    Args:
        what: could not be done; begins the message.
        error: as it was caught; what it was raised from is looked at as well.
    """
    cause: BaseException | None = error
    while cause is not None:
        kind, code = machine_kind(cause), _errno(cause)
        if kind is not None or code in MACHINE_ERRNOS:
            name = getattr(cause, "filename", None)
            told = os.strerror(code) if code in MACHINE_ERRNOS else " ".join(str(cause).split())
            place = f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""
            return MachineError(f"{what}: {place}{told}", kind=kind or "exception")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def _errno(error: BaseException) -> int | None:
    """The system's number of an error; libraries in Rust have it in their text alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return None if found is None else int(found[1])


class LoadingOutOfMemory(MachineError):
    """Memory ran out before the work whose batches can be made smaller."""


class PackageMissing(MachineError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, needed_for: str, install: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package}, which is not installed; install it with: {install}"
        )


class InternalError(SftError):
    """A bug; its traceback lies in a file."""

    exit_code = 4


class FolderInUse(SftError):
    """Another run holds the lock of the results folder."""

    exit_code = 3


class StageFailure(SftError):
    """A stage cannot go on for a reason that belongs to its experiment alone; the grid continues."""


class InvalidExperiments(UserError):
    """Everything that is wrong with a grid, found before anything started.

    Args:
        headline: how many experiments are wrong.
        lines: one per finding, for people.
        source: file name of the grid or config.
        findings: `{"experiments": names, "path", "message"}` for each line; no name where it is of the whole grid.
    """

    def __init__(
        self, headline: str, lines: Sequence[str], source: str, findings: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__("\n".join([headline, *lines]))
        self.lines = tuple(lines)
        self.source = source
        self.findings = tuple(findings)
