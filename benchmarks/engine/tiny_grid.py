"""Start-up of a stage, and a grid of 30 experiments of a tiny model, started warm and fresh."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.commands import seconds_of, sft
from benchmarks.engine.tiny_project import grid_of_30, write_project
from benchmarks.report import Figure
from sft.runs.progress import read_progress
from sft.runs.records import read_status

THREADS = {"OMP_NUM_THREADS": "1"}
MEANING = "from its submission to the first line of its worker, after all imports"


class Wait(NamedTuple):
    """When a stage was submitted, in seconds since the epoch, and what its worker took to its first line."""

    submitted: float
    seconds: float
    stage: str


def figures(folder: Path) -> Iterator[Figure]:
    """Both start modes on the same grid, one after the other, each into a results folder of its own."""
    write_project(folder)
    (folder / "grid.json").write_text(json.dumps(grid_of_30()), "utf-8")
    took = {}
    for start in ("warm", "fresh"):
        took[start] = seconds_of(
            sft("run-experiments", "grid.json", "--start", start, "--results-path", start), folder, THREADS
        )
        yield Figure(f"30 experiments of a tiny model, {start}", took[start], "s")
    yield Figure("30 experiments of a tiny model, fresh / warm", took["fresh"] / took["warm"], "x")
    for start in took:
        yield from _start_ups(folder / start, start)
    if _reproducible(folder / "warm") != _reproducible(folder / "fresh"):
        raise RuntimeError("warm and fresh starts gave different results")


def _start_ups(results: Path, start: str) -> Iterator[Figure]:
    """What the first stage of the run waited for its first line, and what the others of each kind did."""
    first, *others = sorted(_waits(results))
    yield Figure(f"start-up of a run's first stage ({first.stage}), {start}", first.seconds, "s", MEANING)
    for kind in ("train", "infer", "evaluate"):
        waits = [wait.seconds for wait in others if wait.stage == kind]
        yield Figure(f"start-up of a later {kind} stage, {start}", median(waits), "s", f"median of {len(waits)}")


def _waits(results: Path) -> Iterator[Wait]:
    """From the moment a stage was submitted to the first line of its worker, which is after all imports."""
    for folder in (*results.glob("stages/*/*"), *results.glob("experiments/*")):
        status = read_status(folder / "status.json")
        progress = read_progress(folder / "progress.json")
        if status is None or status.started is None or progress is None or progress.ready is None:
            raise RuntimeError(f"{folder} does not say when its worker was ready")
        submitted = datetime.fromisoformat(status.started).timestamp()
        yield Wait(submitted, progress.ready - submitted, status.stage)


def _reproducible(results: Path) -> dict[str, bytes]:
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted(results.glob("experiments/*/result/predictions*"))
    }
