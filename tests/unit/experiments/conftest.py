"""Planned experiments without a grid: a train, an infer and an evaluate job each."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, StageName

Chain = Callable[..., list[PlannedJob]]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsFolder:
    """The folder `results` of the working directory."""
    monkeypatch.chdir(tmp_path)
    return ResultsFolder(tmp_path / "results")


@pytest.fixture
def chain(results: ResultsFolder) -> Chain:
    """Makes the jobs of an experiment; `train` names the training, so that several can share it."""

    def make(name: str, train: str | None = None, config: Mapping[str, Any] | None = None) -> list[PlannedJob]:
        prints = {"model": "m", "labels": [["a", "a"], ["b", "b"]], "data": {"test": "x"}}

        def job(stage: StageName, folder: JobFolder, key: str, needs: Sequence[PlannedJob]) -> PlannedJob:
            record = JobRecord(stage, key, name, dict(config or {}), "/", prints)
            return PlannedJob(folder, record, tuple(need.folder.path for need in needs))

        key = name.ljust(16, "0")
        trained = job("train", results.stage("train", train or name), train or name, [])
        inferred = job("infer", results.stage("infer", name), name, [trained])
        folder = JobFolder(results.experiments / f"{name}-{key[:8]}")
        return [trained, inferred, job("evaluate", folder, key, [inferred, trained])]

    return make
