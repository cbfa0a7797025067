"""What a tracker is, and what it is given: plain values, so that it knows nothing of a results folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Point(NamedTuple):
    """One point of a curve."""

    step: int
    """Optimiser steps taken."""

    value: float


@dataclass(frozen=True)
class TrackedExperiment:
    """One experiment; its names and values are the project's own, whatever a tracker allows.

    Attributes:
        id: key of its evaluate stage; what an experiment is known by when it is logged again.
        name: its first name in the grid.
        state: as `sft.runs.states` tells it.
        params: settings by dotted key.
        metrics: finite numbers by name.
        tags: texts by name.
        curves: points by name, in the order of their steps.
        artifacts: files to keep with it.
        started: seconds since the epoch; None where that is not known.
        ended: the same.
    """

    id: str
    name: str
    state: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    artifacts: tuple[Path, ...] = ()
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class TrackedGrid:
    """The experiments of a grid that have begun, each id once."""

    name: str
    experiments: tuple[TrackedExperiment, ...]


class Tracker(Protocol):
    """Shows results elsewhere. Made without arguments; what it needs is imported inside its functions."""

    def require(self) -> None:
        """Check that what it needs is installed, without importing it.

        Raises:
            PackageMissing: it is not, with the command that installs it.
        """

    def log(self, grid: TrackedGrid, folder: Path) -> str:
        """Bring the grid up to date there; one line that says what was done and where it lies.

        To log a grid again changes nothing; an experiment that changed since takes the place of what it was.

        Args:
            grid: what to show.
            folder: the folder with the leaderboard, for trackers that keep files.

        Raises:
            Exception: whatever the tracker's package raises; the caller tells it and goes on.
        """
