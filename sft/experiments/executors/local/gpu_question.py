"""A question about the GPUs, put in a process of its own; torch is never asked, because that would start CUDA here."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sft.exceptions import MachineError
from sft.processes.child import module_command
from sft.processes.isolation import isolated

END_SECONDS = 1.0
"""In which a killed question is gone, unless the driver holds it."""


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a part of one (MIG), that a process can be given."""

    index: str
    """Its number in the order of the PCI bus, as `nvidia-smi` counts; of a part, that of its GPU."""

    uuid: str
    whole: str = ""
    """Of a part: the UUID of its GPU."""

    free: float | None = None
    """MiB of memory that nobody uses; None where it is not known, as of a part."""

    total: float | None = None
    """MiB of memory that it has; None where it is not known, as of a part."""

    users: tuple[int, ...] = ()
    """Processes that compute on it, as far as they are seen from here."""

    capability: tuple[int, int] | None = None
    """What it can compute; None where it is not known."""

    error: str = ""
    """Why it cannot be used."""


@dataclass(frozen=True)
class GpuAnswer:
    """What is known of the machine's GPUs."""

    gpus: tuple[Gpu, ...] = ()
    knows_parts: bool = True
    """Whether parts of GPUs would be among them."""

    why: str = ""
    """Why there are none, where the driver's own tools tell."""

    absent: str = ""
    """Why nobody could be asked."""

    broken: str = ""
    """Why the driver that is there does not answer as it should."""


class GpuQuestion:
    """One question, from its start to its answer. Never waits unless told to: a driver may hang."""

    def __init__(self, question: Literal["list", "memory"]) -> None:
        # A file, as a pipe would have to be read to its end, which a child of the process may hold open.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  lives until the answer is read
        self._process = subprocess.Popen(
            module_command("sft.processes.gpu_query", question),
            env=isolated(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def answer(self, seconds: float = 0.0) -> GpuAnswer | None:
        """The answer, for which it waits at most `seconds`; None where there is none yet. To be read once."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        if self._process.poll() is None:
            return None
        with self._output:
            self._output.seek(0)
            lines = self._output.read().decode("utf-8", "replace").splitlines()
        return _parsed(lines)

    def end(self) -> None:
        """Give up; a driver that hangs may keep the process, which is not waited for."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._output.close()


def ask_for_gpus(limit_seconds: float) -> GpuAnswer:
    """The GPUs of this machine, asked at once.

    Raises:
        MachineError: no process could be started.
    """
    try:
        question = GpuQuestion("list")
    except OSError as error:
        raise MachineError(f"nobody could be asked which GPUs there are: {error.strerror}") from error
    found: GpuAnswer | None = None
    try:
        found = question.answer(limit_seconds)
    finally:
        if found is None:
            question.end()
    return found or GpuAnswer(broken=f"it does not answer within {limit_seconds:g} s")


def _parsed(lines: Sequence[str]) -> GpuAnswer:
    """The answer, which other output may surround: an interpreter can be told to write when it ends."""
    told = next((found for line in reversed(lines) if (found := _object(line))), None)
    if told is None:
        return GpuAnswer(broken=f"the question about GPUs ended with: {lines[-1] if lines else 'no output'}")
    gpus: list[Gpu] = []
    for item in told.get("gpus", ()):
        capability = item.get("capability")
        whole = Gpu(
            index=item.get("index", ""),
            uuid=item["uuid"],
            free=item.get("free"),
            total=item.get("total"),
            users=tuple(item.get("users", ())),
            capability=None if capability is None else (capability[0], capability[1]),
            error=item.get("error", ""),
        )
        parts = [Gpu(whole.index, uuid, whole.uuid, capability=whole.capability) for uuid in item.get("parts", ())]
        gpus += parts or [whole]
    texts = (told.get(name, "") for name in ("why", "absent", "broken"))
    return GpuAnswer(tuple(gpus), told.get("knows_parts", True), *texts)


def _object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
