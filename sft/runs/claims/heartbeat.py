"""A process that counts in a file while the one that started it lives, whatever that one is busy with.

Run as `python -I -S heartbeat.py FILE SECONDS`; it ends with its parent, or when the other end of its stdin is closed.
It is not a thread, because the run forks processes, and not part of the run's own loop, because one round of that may
take minutes. It imports the standard library only.
"""

import errno
import os
import select
import subprocess
import sys
from pathlib import Path

DIGITS = 20
"""Every count has this length, so that writing it over the last one needs no space on a disk that is full."""
GONE = (errno.ENOENT, errno.ESTALE, errno.ENOTDIR)
"""Numbers of an `OSError` that say that the file is not there any more."""
LAST_SECONDS = 5.0
"""How long, at the end, a count that is just being written is waited for."""


class Heartbeat:
    """A process that counts in a file, and is started again when somebody ends it."""

    def __init__(self, file: Path, seconds: float) -> None:
        """Start the process.

        Args:
            file: it is there already.
            seconds: between two counts.
        """
        self._words = [sys.executable, "-I", "-S", __file__, str(file.absolute()), str(seconds)]
        self._process = self._start()

    def keep(self) -> None:
        """Start the process again if somebody has ended it."""
        if self._process.poll() is not None:
            self._close()
            self._process = self._start()

    def end(self) -> None:
        """Count no more."""
        self._close()
        try:
            self._process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:  # the disk does not answer
            self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: signals that are meant for the run go to all of its process group.
        return subprocess.Popen(
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def _close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()


def write(file: Path | str, word: str) -> None:
    """Write a word in place of the last one, in a file that is there.

    Raises:
        OSError: it is gone, or the disk did not take it.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.pwrite(descriptor, word.rjust(DIGITS).encode(), 0)
    finally:
        os.close(descriptor)


def main(arguments: list[str]) -> int:
    """Count until the other end of stdin closes, the parent is another one, or the file is gone."""
    file, seconds, parent = arguments[0], float(arguments[1]), os.getppid()
    number = 0
    while not select.select([0], [], [], seconds)[0] and os.getppid() == parent:
        number += 1
        try:
            write(file, str(number))
        except OSError as error:  # any other error may pass, and the next count get there
            if error.errno in GONE:
                break
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
