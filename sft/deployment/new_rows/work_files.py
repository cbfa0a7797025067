"""What the process that answers tells the one that started it."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from sft.runs.atomic import write_json
from sft.runs.records import ErrorRecord, read_error, read_json_or_none, write_record

INTERVAL_SECONDS = 1.0
"""Between two notes of progress, at least."""


@dataclass
class WorkFolder:
    """A folder that both know."""

    path: Path
    _told_at: float = field(default=float("-inf"), init=False)

    def tell(self, n_answered: int) -> None:
        """Note how many rows are answered, those of the group under way too; at most once a second."""
        now = time.monotonic()
        if now - self._told_at >= INTERVAL_SECONDS:
            self._told_at = now
            write_json(self._progress, {"answered": n_answered}, durable=False)

    def told(self) -> int | None:
        """How many rows are answered, None before the model is loaded."""
        record = read_json_or_none(self._progress)
        return record.get("answered") if isinstance(record, dict) else None

    def fail(self, error: ErrorRecord) -> None:
        """Leave an error."""
        write_record(self._error, error)

    def error(self) -> ErrorRecord | None:
        """The error that was left."""
        return read_error(self._error)

    @property
    def wanted(self) -> Path:
        """Beside which the origin stands of the answers that are wanted."""
        return self.path / "wanted"

    @property
    def log(self) -> Path:
        """Where the process's own output goes."""
        return self.path / "output.log"

    @property
    def _progress(self) -> Path:
        return self.path / "progress.json"

    @property
    def _error(self) -> Path:
        return self.path / "error.json"
