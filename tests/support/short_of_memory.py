"""Runs in place of every stage (`SFT_TEST_FAULTS`): the stage itself, whose forward passes find no memory at first.

The variable holds beside `stage` the step towards less memory from which on they find it, `fits_from_step`.
"""

import json
import os
from typing import Any

from sft.pipeline import stage_registry
from sft.processes import fault_injection
from sft.registry import load
from sft.runs.files import JobFolder
from sft.runs.progress import Progress
from sft.runs.records import JobRecord

FITS_FROM_STEP = "fits_from_step"


def run(job: JobFolder, record: JobRecord, progress: Progress, started: float) -> None:
    """The stage."""
    fits_from = json.loads(os.environ[fault_injection.VARIABLE])[FITS_FROM_STEP]
    if record.memory_step < fits_from:
        _take_memory_away(record.stage)
    load(stage_registry, record.stage, "stage")(job, record, progress, started)


def _take_memory_away(stage: str) -> None:
    """From this process, which is the stage's alone."""
    import torch

    from sft.training.checked_trainer import CheckedTrainer

    if stage == "train":
        CheckedTrainer.compute_loss = _out_of_memory  # type: ignore[method-assign]
    elif stage == "infer":
        torch.nn.Embedding.forward = _out_of_memory  # type: ignore[method-assign]


def _out_of_memory(*_: Any, **__: Any) -> None:
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Made up, as there is no GPU.")
