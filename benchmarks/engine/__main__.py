"""`python -m benchmarks.engine [PART ...]`: runs the parts and prints a table."""

import importlib
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

PARTS = ("planning", "tiny_grid", "idle", "demo_grid")


def main(chosen: list[str]) -> None:
    """Print each figure as soon as it is there."""
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        sys.exit(f"no part {unknown}; there are: {', '.join(PARTS)}")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.platform()}, {len(os.sched_getaffinity(0))} cores\n")
    print("| what | figure | note |\n|---|---|---|")
    for part in chosen or PARTS:
        with tempfile.TemporaryDirectory(prefix=f"bench-{part}-") as folder:
            for figure in importlib.import_module(f"benchmarks.engine.{part}").figures(Path(folder)):
                print(f"| {figure.name} | {figure.value:.3g} {figure.unit} | {figure.note} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
