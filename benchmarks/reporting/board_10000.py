"""How long a leaderboard of 10,000 experiments takes, and how much memory: fake results, read and written for real.

    .venv/bin/python -m benchmarks.reporting.board_10000 [COUNT] [ROWS]

COUNT experiments (10,000; 5 seeds each) with ROWS test rows (200). Each step is a process of its own
and is taken with its start and its imports.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.commands import ROOT
from sft.config.experiment import ExperimentConfig
from sft.evaluation.metrics.label_sums import label_sums
from sft.evaluation.rows import EvaluatedRows
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import write_manifest
from sft.runs.records import StatusRecord, write_record

SEEDS = 5
NEW = 10
LABELS = ["negative", "neutral", "positive"]
MIB = 1 << 20

READ = """
import sys
from pathlib import Path
from sft.leaderboard.board import with_ranks
from sft.leaderboard.building import build_leaderboard, without_search_for_cycles
from sft.runs.files import ResultsFolder

with without_search_for_cycles():
    {step}
"""
RANKED = READ.format(step="with_ranks(build_leaderboard([ResultsFolder(Path(sys.argv[1]))]))")
TESTED = f"from sft.leaderboard.completing import with_statistics\n{RANKED.replace('with_ranks(', 'with_statistics(')}"
REFRESH = ["-m", "sft.reporting.refresh"]


def main(count: int = 10_000, n_rows: int = 200) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = ResultsFolder(Path(place))
        make(folder, count, n_rows)
        time.sleep(2)  # younger files are not kept
        print(f"{count:,} experiments, {n_rows} rows")
        manifests = [job.manifest for job in folder.experiment_folders()[:NEW]]
        hidden = [path.rename(path.with_suffix(".hidden")) for path in manifests]
        take("read and ranked, without a cache", ["-c", RANKED, place])
        take("the same with the statistics of all groups", ["-c", TESTED, place])
        take("all files written, and the cache", [*REFRESH, place])
        for path, manifest in zip(hidden, manifests, strict=True):
            path.rename(manifest)
        take(f"read and ranked, {NEW} of them new, the others from the cache", ["-c", RANKED, place])
        take("the same, and all files written (a refresh under way)", [*REFRESH, place, "--under-way"])
        take("all files written with the statistics of all groups", [*REFRESH, place])


def take(name: str, words: Sequence[str]) -> None:
    """Run a step and print what it took.

    Args:
        name: of the step.
        words: for Python.

    Raises:
        CalledProcessError: it failed.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = f"most memory so far {after.ru_maxrss * 1024 / MIB:.0f} MiB"
    print(f"{name}: {time.perf_counter() - started:.2f} s, {cpu:.2f} s on the CPU, {peak}", flush=True)


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
        log_loss = np.where(predicted == gold, 0.3, 1.5)
        rows = EvaluatedRows(predicted == gold, gold, predicted)
        sums = label_sums("macro_f1", rows, len(LABELS), {})
        job.result.mkdir(parents=True)
        np.savez(job.rows, gold=gold, predicted=predicted, correct=rows.correct, log_loss=log_loss)
        write_json(job.config, {"schema": 1, "id": key, "names": [name], "config": config})
        numbers = {"macro_f1": sums.whole if sums else 0.0, "accuracy": float(rows.correct.mean())}
        write_json(job.metrics, _metrics(key, name, config, numbers, n_rows))
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
        "evaluation": {"metrics": ["macro_f1", "accuracy"]},
    }
    return ExperimentConfig.model_validate(written).resolved()


def _metrics(key: str, name: str, config: dict[str, Any], numbers: dict[str, float], n_rows: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "id": key,
        "name": name,
        "seed": config["seed"],
        "results": numbers,
        "details": {"labels": LABELS, "higher_is_better": dict.fromkeys(numbers, True)},
        "data": {"n_test": n_rows, "n_train": 24, "test_rows_sha256": "aa", "test_indices": list(range(n_rows))},
        "config": config,
        "timing": {"train": 12.0, "infer": 5.0, "evaluate": 1.0},
        "resources": {"peak_rss_bytes": 1 << 30, "peak_gpu_bytes": None},
        "environment": {"dtype": "float32"},
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
