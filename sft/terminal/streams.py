"""Output that never fails a command: what a command did counts, not whether anybody can still read it.

A stream may take ASCII only, be closed, lead to a reader that has gone or to a disk that is full. `steady_streams`
covers whatever writes to stdout and stderr meanwhile: this program, tables, help texts, warnings, tracebacks.
"""

import codecs
import contextlib
import errno
import io
import json
import os
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from sft.exceptions import MachineError
from sft.runs.secrets_masking import mask, secret_values
from sft.terminal.command_line import given_secrets

GONE = (errno.EPIPE, errno.EIO)
"""Of an `OSError`: nobody reads the pipe, or the terminal, any more."""

ALIKE = str.maketrans("─━│┃└┌┐┘├┤┬┴┼╌…·≈±≥≤↑↓→–—−†", "--||+++++++++-~.~+><^v>---+")
"""Drawing characters and symbols of this program, each with one of ASCII that takes the same room."""


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(ALIKE)
    return "".join(character if character.isascii() else "?" for character in text), error.end


codecs.register_error("sft.replaced", _replaced)


class _SteadyFile(io.RawIOBase):
    """A file descriptor that takes all that is written to it, whether it arrives or not; it is never closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.lost: OSError | None = None
        """The last failure."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, content: Any, /) -> int:
        while True:
            try:
                return os.write(self._descriptor, content)
            except BlockingIOError:  # whoever shares a terminal or pipe may have made it non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.lost = error
                return len(content)


class _SteadyStream(io.TextIOWrapper):
    """Text for a `_SteadyFile`, without secrets."""

    def __init__(self, descriptor: int, encoding: str, secrets: Sequence[str]) -> None:
        self.file = _SteadyFile(descriptor)
        self._secrets = secrets
        super().__init__(io.BufferedWriter(self.file), encoding, "sft.replaced", line_buffering=True)

    def write(self, text: str, /) -> int:
        super().write(mask(text, self._secrets))
        return len(text)


@contextlib.contextmanager
def steady_streams() -> Iterator[None]:
    """Let no write to stdout or stderr fail in this block, nor show a secret of the environment or the command line.

    A descriptor that is closed leads to nowhere from here on, so that no file of ours takes its number. A stream
    without a descriptor, such as a notebook's, stays as it is.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = sys.stdout, sys.stderr
    secrets = (*given_secrets(sys.argv), *secret_values(os.environ))
    sys.stdout, sys.stderr = _steady(sys.stdout, 1, secrets), _steady(sys.stderr, 2, secrets)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _steady(stream: TextIO | None, descriptor: int, secrets: Sequence[str]) -> TextIO:
    if stream is None:
        return _SteadyStream(descriptor, "utf-8", secrets)
    try:
        return _SteadyStream(stream.fileno(), stream.encoding, secrets)
    except (OSError, ValueError):
        return stream


def write_out(text: str) -> None:
    """Write to stdout; where it is lost, stderr says so."""
    if (lost := _write(sys.stdout, text)) is not None:
        write_err(f"{lost}\n")


def show(text: str) -> None:
    """Write to stdout what a command was called for.

    Raises:
        MachineError: it is lost, because the disk behind stdout is full. A reader that has gone wants no more.
    """
    if (lost := _write(sys.stdout, f"{text}\n")) is not None:
        raise MachineError(lost)


def show_json(record: Mapping[str, Any]) -> None:
    """Write to stdout one JSON object, alone there.

    Raises:
        MachineError: as `show`.
    """
    show(json.dumps(record, indent=2, allow_nan=False))


def write_err(text: str) -> None:
    """Write to stderr."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> str | None:
    """Write at once; why a reader that is still there will not see it, None where all is well."""
    stream.write(text)
    stream.flush()
    lost = stream.file.lost if isinstance(stream, _SteadyStream) else None
    if lost is None or lost.errno in GONE:
        return None
    return f"stdout: {lost.strerror}; what was written there is lost"
