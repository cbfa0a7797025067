"""Steps on 4 tweets."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Figure
from benchmarks.training.comparison import compared


def figures(folder: Path) -> Iterator[Figure]:
    """All sides by turns."""
    yield from compared(folder, 4)
