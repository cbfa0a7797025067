import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, StageName
from tests.support.tiny_models import IDS, MAKERS, tiny_logits


@pytest.fixture(scope="session")
def _made() -> dict[str, Any]:
    return {}


@pytest.fixture
def make_model(_made: dict[str, Any]) -> Callable[[str], Any]:
    """A new tiny model of the kind fp32, bf16, gpt2, nf4 or int8; two of a kind are equal."""

    def make(kind: str) -> Any:
        if kind in ("nf4", "int8"):
            return MAKERS[kind]()
        if kind not in _made:
            _made[kind] = MAKERS[kind]()
        return copy.deepcopy(_made[kind])

    return make


@pytest.fixture
def logits() -> Callable[[Any], torch.Tensor]:
    """The logits of a model on fixed ids, as fp32."""
    return tiny_logits


@pytest.fixture
def train_steps() -> Callable[..., Any]:
    """Takes some optimiser steps on fixed ids; returns the losses."""

    def run(model: Any, steps: int = 3, rate: float = 0.01) -> list[float]:
        model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer, losses = torch.optim.AdamW(trained, lr=rate), []
        for _ in range(steps):
            loss = model(IDS, labels=IDS).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss))
        return losses

    return run


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
