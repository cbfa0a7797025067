"""How long a leaderboard of 10,000 experiments takes, and how much memory: fake results, read and written for real.

    .venv/bin/python -m benchmarks.reporting.board_10000 [COUNT] [ROWS]

COUNT experiments (10,000; 5 seeds each) with ROWS test rows (200).
"""

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from sft.config.experiment import ExperimentConfig
from sft.leaderboard.building import build_leaderboard, with_statistics
from sft.reporting.files import write_leaderboard
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import StatusRecord, write_record

SEEDS = 5
LABELS = ["negative", "neutral", "positive"]
MIB = 1 << 20


def main(count: int = 10_000, n_rows: int = 200) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = ResultsFolder(Path(place))
        make(folder, count, n_rows)
        steps = {
            "read and ranked": lambda: build_leaderboard([folder]),
            "the same with the statistics of the 50 best groups": lambda: with_statistics(build_leaderboard([folder])),
            "the same with all files written": lambda: write_leaderboard([folder], folder.path),
        }
        for name, step in steps.items():
            started, cpu = time.perf_counter(), time.process_time()
            step()
            took = f"{time.perf_counter() - started:.2f} s, {time.process_time() - cpu:.2f} s of them on the CPU"
            print(f"{count:,} experiments, {n_rows} rows: {name}: {took}", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB:.0f} MiB")


def make(folder: ResultsFolder, count: int, n_rows: int) -> None:
    """A finished grid; every fifth row of the same settings differs in its seed alone."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, len(LABELS), n_rows)
    entries = {}
    for number in range(count):
        key = f"{number:08x}{number:08x}"
        name = f"set-up{number // SEEDS}/seed{number % SEEDS}"
        config = _config(number // SEEDS, number % SEEDS)
        job = JobFolder(folder.experiments / f"set-up{number}-{key[:8]}")
        share = 0.5 + 0.4 * (number // SEEDS) / count
        predicted = np.where(rng.random(n_rows) < share, gold, rng.integers(0, len(LABELS), n_rows))
        correct = predicted == gold
        log_loss = np.where(correct, 0.3, 1.5)
        job.result.mkdir(parents=True)
        np.savez(job.rows, gold=gold, predicted=predicted, correct=correct, log_loss=log_loss)
        write_json(job.config, {"schema": 1, "id": key, "names": [name], "config": config})
        write_json(job.metrics, _metrics(key, name, config, float(correct.mean()), n_rows))
        write_manifest(job, [job.metrics, job.rows])
        write_record(job.status, StatusRecord("done", "evaluate", attempt=1))
        entries[name] = {"id": key, "folder": job.path.relative_to(folder.path).as_posix(), "config": config}
    write_json(folder.grid, {"schema": 1, "configs": entries, "pinned": {}})


def _config(number: int, seed: int) -> dict[str, Any]:
    written = {
        "seed": seed,
        "dataset": {"path": "tweets", "task_type": "classification", "shots": 8},
        "model": {"name": "tiny"},
        "lora": {"r": 8},
        "prompting": {"input_columns": ["text"], "output_column": "label"},
        "training": {"trainer_args": {"learning_rate": 1e-4 * (1 + number)}},
        "evaluation": {"metrics": ["accuracy", "log_loss"]},
    }
    return ExperimentConfig.model_validate(written).resolved()


def _metrics(key: str, name: str, config: dict[str, Any], accuracy: float, n_rows: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "id": key,
        "name": name,
        "seed": config["seed"],
        "results": {"accuracy": accuracy, "log_loss": 1 - accuracy},
        "details": {"labels": LABELS, "higher_is_better": {"accuracy": True, "log_loss": False}},
        "data": {"n_test": n_rows, "n_train": 24, "test_rows_sha256": "aa", "test_indices": list(range(n_rows))},
        "config": config,
        "timing": {"train": 12.0, "infer": 5.0, "evaluate": 1.0},
        "resources": {"peak_rss_bytes": 1 << 30, "peak_gpu_bytes": None},
        "environment": {"dtype": "float32"},
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
