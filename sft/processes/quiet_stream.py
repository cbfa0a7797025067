"""A stream that goes quiet when what it writes to is gone."""

from typing import TextIO


class QuietStream:
    """Writes until a write fails: a run does not end because its terminal was closed or its log cannot grow.

    Characters that the stream cannot take are replaced.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Write to `stream`; None: a process without this stream."""
        self._stream = stream

    def write(self, text: str) -> None:
        """Write and flush, unless an earlier write failed."""
        if self._stream is None:
            return
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            self._stream.write(text.encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed in this process
            self._stream = None
