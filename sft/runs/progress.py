"""`progress.json`: how far a worker is, and its heartbeat."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

from sft.runs.atomic import write_json
from sft.runs.records import JOB_STAGES, MAX_BYTES, StageName, read_json_or_none

INTERVAL_SECONDS = 1.0


@dataclass(frozen=True)
class ProgressRecord:
    """How far a worker is; its time is the heartbeat."""

    stage: StageName
    step: int
    """Optimiser steps, or rows; 0 of 0 from the worker's first line until the stage knows how many there are."""
    total: int
    loss: float | None
    time: float
    """Seconds since the epoch."""
    ready: float | None = None
    """Seconds since the epoch at the worker's first line; None where an older version wrote the file."""


class Progress:
    """Writes stage, step, total and loss, at most once a second; the first and the last call always write.

    What is written later keeps the time of the worker's first line (`ready`): how long a start took.
    """

    def __init__(self, path: Path, stage: str) -> None:
        self._path = path
        self._stage = stage
        self._written_at = float("-inf")
        self._told: tuple[int, int, float | None] = (0, 0, None)
        self._ready: float | None = None

    def hello(self) -> None:
        """The worker's first line: it is running, and nothing is done yet; from here on `beat` writes this file."""
        _Process.progress = self
        self._ready = time.time()
        self._write(0, 0, None)

    def beat(self) -> None:
        """Record that the worker works, where there is no step to tell; at most once a second."""
        now = time.monotonic()
        if now - self._written_at >= INTERVAL_SECONDS:
            self._written_at = now
            self._write(*self._told)

    def __call__(self, step: int, total: int, loss: float | None = None) -> None:
        """Record that `step` of `total` (optimiser steps or rows) is reached; a loss that is not finite is null."""
        now = time.monotonic()
        if step < total and now - self._written_at < INTERVAL_SECONDS:
            return
        self._written_at = now
        self._write(step, total, loss if loss is not None and math.isfinite(loss) else None)

    def _write(self, step: int, total: int, told: float | None) -> None:
        self._told = (step, total, told)
        record = {"stage": self._stage, "step": step, "total": total, "loss": told, "time": time.time()}
        write_json(self._path, record | {"ready": self._ready})


class _Process:
    """What this process reports to."""

    progress: Progress | None = None


def beat() -> None:
    """The heartbeat of long work that knows nothing of the stage it is part of; outside a worker it does nothing."""
    if _Process.progress is not None:
        _Process.progress.beat()


def read_progress(path: Path) -> ProgressRecord | None:
    """The progress of a worker, None before its first line or when it cannot be read."""
    record = read_json_or_none(path, MAX_BYTES)
    if not isinstance(record, dict):
        return None
    stage, step, total, loss, time = (record.get(name) for name in ("stage", "step", "total", "loss", "time"))
    if not (isinstance(step, int) and isinstance(total, int) and isinstance(time, int | float)):
        return None
    ready = record.get("ready")
    if stage not in JOB_STAGES or not all(isinstance(value, int | float | None) for value in (loss, ready)):
        return None
    return ProgressRecord(stage, step, total, loss, time, ready)
