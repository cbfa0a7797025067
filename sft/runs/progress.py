"""`progress.json`: how far a worker is, and its heartbeat."""

import math
import time
from pathlib import Path

from sft.runs.atomic import write_json

INTERVAL_SECONDS = 1.0


class Progress:
    """Writes stage, step, total and loss, at most once a second; the first and the last call always write."""

    def __init__(self, path: Path, stage: str) -> None:
        self._path = path
        self._stage = stage
        self._written_at = float("-inf")

    def hello(self) -> None:
        """The worker's first line: it is running, and nothing is done yet."""
        self._write(0, 0, None)

    def __call__(self, step: int, total: int, loss: float | None = None) -> None:
        """Record that `step` of `total` (optimiser steps or rows) is reached; a loss that is not finite is null."""
        now = time.monotonic()
        if step < total and now - self._written_at < INTERVAL_SECONDS:
            return
        self._written_at = now
        self._write(step, total, loss if loss is not None and math.isfinite(loss) else None)

    def _write(self, step: int, total: int, told: float | None) -> None:
        record = {"stage": self._stage, "step": step, "total": total, "loss": told, "time": time.time()}
        write_json(self._path, record)
