"""Runs in place of every stage (`SFT_TEST_FAULTS`): the stage itself, a training with less memory than it needs.

The variable holds beside `stage` either `memory_fraction`, the share of the GPU's memory that the process may take,
or, where there is no GPU, `fits_from_step`: before that step towards less memory the first forward pass fails.
"""

import json
import os
from typing import Any

import sft.training.stage  # noqa: F401  the server of warm starts imports it before its forks, as without a fault
from sft.pipeline import stage_registry
from sft.processes import fault_injection
from sft.registry import load
from sft.runs.files import JobFolder
from sft.runs.progress import Progress
from sft.runs.records import JobRecord


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """The stage."""
    told = json.loads(os.environ[fault_injection.VARIABLE])
    if record.stage == "train":
        _take_memory_away(told, record.memory_step)
    load(stage_registry, record.stage, "stage")(job, record, progress, started)


def _take_memory_away(told: dict[str, Any], memory_step: int) -> None:
    import torch

    if "memory_fraction" in told:
        torch.cuda.set_per_process_memory_fraction(told["memory_fraction"])
    elif memory_step < told["fits_from_step"]:
        from sft.training.checked_trainer import CheckedTrainer

        CheckedTrainer.compute_loss = _out_of_memory  # type: ignore[method-assign]


def _out_of_memory(*_: Any, **__: Any) -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Made up, as there is no GPU.")
