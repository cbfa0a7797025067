"""What the methods from outside are tried with: a model with weights, and the stages of a config."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.registry import load

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def with_weights(project: Path) -> Path:
    """The project, whose model has random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = json.loads((project / "model" / "config.json").read_text())
    settings.pop("architectures")
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**settings, initializer_range=0.2)).save_pretrained(project / "model")
    return project


@pytest.fixture
def run(project: Path, plan_of: Callable[..., Any]) -> Run:
    """Runs the stages of a config in this process, each as its job says; gives the folder of each stage."""
    from sft.pipeline import stage_registry
    from sft.pipeline.jobs import ExperimentFolders, Goal, jobs_of
    from sft.runs.files import ResultsFolder
    from sft.runs.manifest import is_done
    from sft.runs.progress import Progress
    from sft.runs.records import write_record

    def stages(results: str, config: dict[str, Any], goal: Goal) -> dict[str, Any]:
        planned, place = plan_of(project, a=config).experiments[0], ResultsFolder(project / results)
        folders = {}
        for job in jobs_of(planned.experiment, planned.keys, ExperimentFolders(place), place, goal):
            folders[job.record.stage] = job.folder
            if is_done(job.folder):
                continue
            write_record(job.folder.job, job.record)
            stage = load(stage_registry, job.record.stage, "stage")
            stage(job.folder, job.record, Progress(job.folder.progress, job.record.stage), time.perf_counter())
        return folders

    return stages
