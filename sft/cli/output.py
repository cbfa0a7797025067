"""Writing to a terminal or pipe that may be gone: what a command did counts, not whether anybody still reads it."""

import errno
import os
import sys
from typing import TextIO

GONE = (errno.EPIPE, errno.EIO)


def write_out(text: str) -> None:
    """Write to stdout."""
    _write(sys.stdout, text)


def write_err(text: str) -> None:
    """Write to stderr."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if error.errno not in GONE:
            raise
        # What is still buffered must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
