"""What became of the jobs of one run."""

import signal
from dataclasses import dataclass, field
from pathlib import Path

from sft.runs.records import StatusRecord
from sft.runs.states import FINISHED


@dataclass
class RunSummary:
    """Jobs by their folders."""

    reused: frozenset[Path] = frozenset()
    """Had nothing to do, because they, or all that needs them, were done before."""

    ended: dict[Path, StatusRecord] = field(default_factory=dict)
    """Ran in this run, with the status that their last try left."""

    failed: dict[Path, StatusRecord] = field(default_factory=dict)
    """Failed or, with the status of the one that did, cannot run because of it."""

    earlier: frozenset[Path] = frozenset()
    """Those of `failed` that failed in an earlier run and were not tried again, with what needs them."""

    stopped_by: signal.Signals | None = None
    """The first signal that asked the run to end."""

    halted: str | None = None
    """Why nothing more was started, in one line; None when nothing held it up, or only a signal."""

    machine: str | None = None
    """What the machine must change, in one line, where that is what went wrong."""

    @property
    def finished(self) -> frozenset[Path]:
        """The jobs that have their results since this run."""
        return frozenset(path for path, status in self.ended.items() if status.state in FINISHED)
