"""A GPU whose job has ended is leased again when its memory is free again, which may take the driver seconds."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

WAIT_SECONDS = 60.0
PAUSE_SECONDS = 0.25
"""Between two questions to `nvidia-smi`."""
END_SECONDS = 1.0
"""In which a killed question is gone, unless the driver holds it."""
SLACK = 0.02
"""Share of the memory free at the start that may be missing."""
SLACK_MIB = 256.0
COMMAND = ("nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits")


class GpuMemory:
    """Says which GPUs have to rest. Never waits: `nvidia-smi` is started, and read when it has answered."""

    def __init__(self, uuids: Iterable[str], now: float, wait_seconds: float = WAIT_SECONDS) -> None:
        """All rest until it is known what is free before the first job; parts of a GPU (MIG) are not measured."""
        self._wait_seconds = wait_seconds
        self._measured = frozenset(uuid for uuid in uuids if not uuid.startswith("MIG-"))
        self._free_at_start: dict[str, float] = {}
        self._until = dict.fromkeys(self._measured, now + wait_seconds)
        self._asking: subprocess.Popen[bytes] | None = None
        self._answer: IO[bytes] | None = None
        """A file, as a pipe would have to be read to its end, which a child of the program may hold open."""
        self._is_late = False
        """Whether a job has ended since the open question was asked."""
        self._next_question = now

    @property
    def resting(self) -> frozenset[str]:
        """The GPUs that may not be leased yet."""
        return frozenset(self._until)

    def freed(self, uuids: Iterable[str], now: float) -> None:
        """The last job of these GPUs has ended."""
        self._until |= dict.fromkeys(self._measured.intersection(uuids), now + self._wait_seconds)
        self._is_late = True

    def look(self, now: float) -> None:
        """Take in an answer, ask the next question, give up on what took too long."""
        if self._asking is not None and self._asking.poll() is not None:
            self._take_in(self._read())
            self._next_question = now + PAUSE_SECONDS
        if self._until and self._asking is None and now >= self._next_question:
            self._ask()
        for uuid in [uuid for uuid, until in self._until.items() if now >= until]:
            # Another program may have taken it: what is free at the next answer is the measure from there on.
            self._free_at_start.pop(uuid, None)
            del self._until[uuid]

    def close(self) -> None:
        """End the question that is open; a driver that hangs may keep its process, which is not waited for."""
        if self._asking is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._asking.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._asking.wait(END_SECONDS)
            self._read()
            self._asking = None

    def _ask(self) -> None:
        self._is_late = False
        try:
            self._answer = tempfile.TemporaryFile()  # noqa: SIM115  lives until the answer is read
            self._asking = subprocess.Popen(
                COMMAND, stdout=self._answer, stderr=subprocess.DEVNULL, start_new_session=True
            )
        except OSError:
            self._until.clear()  # nobody can tell: the jobs themselves will find out

    def _read(self) -> bytes:
        if self._answer is None:
            return b""
        with self._answer:
            self._answer.seek(0)
            return self._answer.read()

    def _take_in(self, answer: bytes) -> None:
        self._asking = None
        free_now = dict(_rows(answer.decode("utf-8", "replace")))
        if self._is_late:
            return
        for uuid in list(self._until):
            free = free_now.get(uuid)
            before = self._free_at_start.setdefault(uuid, free) if free is not None else 0.0
            if free is None or free >= before - max(SLACK_MIB, before * SLACK):
                del self._until[uuid]


def _rows(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        uuid, _, free = (part.strip() for part in line.partition(","))
        if free.replace(".", "", 1).isdecimal():
            yield uuid, float(free)
