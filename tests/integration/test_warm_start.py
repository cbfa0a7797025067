"""A real chain of stages gives the same bytes whether its processes are forked from a server or started fresh."""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from sft import api
from sft.experiments.executors.executor import Lease, Submission
from sft.experiments.executors.local import LocalExecutor
from sft.experiments.executors.preload import preload_of
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import write_record

WARM_HELLO = 1.0
"""Generous: 0.1 s on a machine that does nothing else."""


def planned_jobs(place: Any, results: str, **sections: Any) -> list[PlannedJob]:
    path = place.folder / "grid.json"
    path.write_text(json.dumps({"configs": {"a": place.trained(**sections)}}))
    (planned,) = api.plan(path).experiments
    folder = ResultsFolder(place.folder / results)
    return jobs_of(planned.experiment, planned.keys, ExperimentFolders(folder), folder, "metrics")


def run(executor: LocalExecutor, job: PlannedJob, threads: int) -> float:
    """Run a job; the seconds until its first line."""
    attempt = job.folder.attempt(1)
    attempt.path.mkdir(parents=True)
    write_record(job.folder.job, job.record)
    began = time.time()
    handle = executor.submit(Submission(job.folder, attempt, Lease(threads=threads)))
    hello = 0.0
    while handle.exit_code() is None:
        executor.ended(0.005)
        hello = hello or (time.time() - began if job.folder.progress.exists() else 0.0)
    assert handle.exit_code() == 0, attempt.stderr.read_text()
    assert handle.start == executor._start
    return hello


def reproducible(folder: JobFolder) -> dict[str, Any]:
    """All of a job's results that must not depend on how its process started."""
    found: dict[str, Any] = {}
    for name in json.loads(folder.manifest.read_text())["files"]:
        path = folder.path / name
        if path.name in ("metrics.json", "training.json", "inference.json"):
            record = json.loads(path.read_text())
            kept = ("results", "details", "data", "loss_curve", "examples", "prompt_tokens", "rows", "n_steps")
            found[name] = {key: record[key] for key in kept if key in record}
            found[f"{name}: threads"] = record.get("environment", {}).get("threads")
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("offline")
def test_results_are_equal_warm_and_fresh_and_after_another_job(
    make_place: Callable[[str], Any], threads: int
) -> None:
    place = make_place("warm")
    sections = {"lora": {"r": 4, "lora_dropout": 0.1}}
    chains = {start: planned_jobs(place, start, **sections) for start in ("fresh", "warm")}
    other = planned_jobs(place, "other", seed=99)
    executors = {
        start: LocalExecutor(start, preload_of([job.record for job in chain])) for start, chain in chains.items()
    }
    hellos: dict[str, list[float]] = {}
    run(executors["warm"], other[0], threads)
    for start, chain in chains.items():
        hellos[start] = [run(executors[start], job, threads) for job in chain]
        executors[start].close()
    print(hellos)
    for fresh, warm in zip(*chains.values(), strict=True):
        assert reproducible(fresh.folder) == reproducible(warm.folder)
    assert reproducible(chains["warm"][0].folder)["training.json: threads"] == threads
    assert max(hellos["warm"]) < WARM_HELLO
