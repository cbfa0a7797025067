"""The table of a benchmark: its parts are run one after the other, each in a folder of its own."""

import importlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One line of the report."""

    name: str
    value: float
    unit: str
    note: str = ""

    @property
    def shown(self) -> str:
        """The value with three digits, all digits of a whole part, and its unit."""
        number = f"{self.value:.0f}" if abs(self.value) >= 1000 else f"{self.value:.3g}"
        return f"{number} {self.unit}"


def print_report(package: str, parts: Sequence[str], chosen: Sequence[str]) -> None:
    """Print each figure as soon as it is there.

    Args:
        package: what the parts are modules of; each has `figures(folder)`.
        parts: all parts, in their order.
        chosen: those to run; none chosen = all.
    """
    unknown = sorted(set(chosen) - set(parts))
    if unknown:
        sys.exit(f"no part {unknown}; there are: {', '.join(parts)}")
    count = len(os.sched_getaffinity(0))
    cores = "1 core" if count == 1 else f"{count} cores"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.platform()}, {cores}\n")
    print("| what | figure | note |\n|---|---|---|", flush=True)
    for part in chosen or parts:
        with tempfile.TemporaryDirectory(prefix=f"bench-{part}-") as folder:
            figures: Iterable[Figure] = importlib.import_module(f"{package}.{part}").figures(Path(folder))
            for figure in figures:
                print(f"| {figure.name} | {figure.shown} | {figure.note} |", flush=True)
