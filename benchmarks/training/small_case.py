"""What a few-shot training costs beside its steps: 48 rows, 5 epochs in batches of 8, in a warm worker."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.commands import seconds_of, sft
from benchmarks.report import Figure
from benchmarks.training.tweets import config
from sft.runs.records import read_status

SEEDS = 4
"""Trainings; the first one of a run waits for the imports of its server and is left out."""
WANTED = 1.5


def figures(folder: Path) -> Iterator[Figure]:
    """The stages of one grid, one after the other."""
    made = config(num_train_epochs=5, per_device_train_batch_size=8)
    grid = {"configs": {f"seed{seed}": {**made, "seed": seed} for seed in range(SEEDS)}}
    (folder / "grid.json").write_text(json.dumps(grid), "utf-8")
    seconds_of(sft("run-experiments", "grid.json", "--results-path", "results", "--start", "warm"), folder)
    stages = sorted(folder.glob("results/stages/train/*"), key=_began)[1:]
    trainings = [json.loads((stage / "training.json").read_text("utf-8")) for stage in stages]
    steps = median(training["seconds"] for training in trainings)
    beside = median(training["stage_seconds"] - training["seconds"] for training in trainings)
    note = f"median of {len(trainings)}; {trainings[0]['n_steps']} steps"
    yield Figure("48 rows x 5 epochs in batches of 8: steps", steps, "s", note)
    yield Figure("the same: start and saving", beside, "s", f"after the imports, in a warm worker; wanted: {WANTED:g}")


def _began(stage: Path) -> str:
    status = read_status(stage / "status.json")
    if status is None or status.started is None:
        raise RuntimeError(f"{stage} does not say when it began")
    return status.started
