"""Start-up of a stage, and a grid of 30 experiments of a tiny model, started warm and fresh."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.engine.commands import Figure, seconds_of, sft
from benchmarks.engine.tiny_project import grid_of_30, write_project

THREADS = {"OMP_NUM_THREADS": "1"}


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
    ready = {start: _ready_seconds(folder / start) for start in ("warm", "fresh")}
    for start, seconds in ready.items():
        note = f"median of {len(seconds)} stages, from submission to the moment all imports of the stage are done"
        yield Figure(f"start-up of a stage, {start}", median(seconds), "s", note)
    if _reproducible(folder / "warm") != _reproducible(folder / "fresh"):
        raise RuntimeError("warm and fresh starts gave different results")


def _ready_seconds(results: Path) -> list[float]:
    """What each stage but the first of its kind spent before it ran, from its status and its own clock."""
    found = []
    for path in results.glob("stages/*/*/status.json"):
        status = json.loads(path.read_text("utf-8"))
        record = next(
            path.parent / name for name in ("training.json", "inference.json") if (path.parent / name).exists()
        )
        own: dict[str, Any] = json.loads(record.read_text("utf-8"))
        found.append(status["seconds"] - own["stage_seconds"])
    return sorted(found)[:-1]


def _reproducible(results: Path) -> dict[str, bytes]:
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted(results.glob("experiments/*/result/predictions*"))
    }
