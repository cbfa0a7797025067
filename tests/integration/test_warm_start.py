"""A real chain of stages gives the same bytes whether its processes are forked from a server or started fresh."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from sft import api
from sft.experiments.executors.handle import Submission
from sft.experiments.executors.local.processes import JobProcesses
from sft.experiments.executors.protocol import Lease
from sft.experiments.executors.warm import preload_of
from sft.pipeline.jobs import ExperimentFolders, PlannedJob, jobs_of
from sft.runs.attempts import begin_attempt
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import write_record


def planned_jobs(place: Any, results: str, **sections: Any) -> list[PlannedJob]:
    path = place.folder / "grid.json"
    path.write_text(json.dumps({"configs": {"a": place.trained(**sections)}}))
    (planned,) = api.plan(path).experiments
    folder = ResultsFolder(place.folder / results)
    return jobs_of(planned.experiment, planned.keys, ExperimentFolders(folder), folder, "metrics")


def run(executor: JobProcesses, job: PlannedJob, threads: int) -> None:
    attempt = begin_attempt(job.folder)
    write_record(job.folder.job, job.record)
    handle = executor.submit(Submission(job.folder, attempt, Lease(threads=threads)))
    while handle.exit_code() is None:
        executor.ended(1.0)
    assert handle.exit_code() == 0, attempt.stderr.read_text()
    assert handle.start == executor._start


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
@pytest.mark.usefixtures("offline")
def test_results_are_equal_warm_and_fresh_and_after_other_jobs(make_place: Callable[[str], Any]) -> None:
    place = make_place("warm")
    chains = {
        (start, threads): planned_jobs(place, f"{start}-{threads}", lora={"lora_dropout": 0.1})
        for threads in (1, 2)
        for start in ("fresh", "warm")
    }
    records = [job.record for job in chains["warm", 1]]
    executors = {start: JobProcesses(start, preload_of(records)) for start in ("fresh", "warm")}
    for (start, threads), chain in chains.items():
        for job in chain:
            run(executors[start], job, threads)
    for executor in executors.values():
        executor.close()
    for threads in (1, 2):
        for fresh, warm in zip(chains["fresh", threads], chains["warm", threads], strict=True):
            assert reproducible(fresh.folder) == reproducible(warm.folder)
        trained = reproducible(chains["warm", threads][0].folder)
        assert trained["training.json: threads"] == threads
        assert any(name.endswith("adapter_model.safetensors") for name in trained)
