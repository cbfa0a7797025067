"""A stream that goes quiet when what it writes to is gone."""

from typing import TextIO


class QuietStream:
    """Writes until a write fails: a run does not end because its terminal was closed or its log cannot grow."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._gone = False

    def write(self, text: str) -> None:
        """Write and flush, unless an earlier write failed."""
        if self._gone:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed in this process
            self._gone = True
