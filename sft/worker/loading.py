"""What the server of warm starts imports before its first fork."""

import importlib
import sys

from sft.experiments.executors.warm import Preload
from sft.objectives import objective_named, objective_registry
from sft.runs import fault_injection
from sft.runs.records import StageName
from sft.worker.job import stage_function

USED_BY: dict[StageName, tuple[str, ...]] = {
    "infer": ("sft.inference.label_scoring.scoring", "sft.inference.generation"),
    "evaluate": ("evaluate",),
}
"""What a stage imports only when it needs it, which most of its jobs do."""


def load_beforehand(preload: Preload) -> None:
    """Import the modules of stages and of model types."""
    for stage in preload.stages:
        stage_function(stage)
        for package in () if fault_injection.replaced_stage() else USED_BY.get(stage, ()):
            importlib.import_module(package)
    for model_type in preload.model_types:
        _load_model_type(model_type)
    if fault_injection.server_computes():
        import torch

        torch.set_num_threads(2)
        ones = torch.ones(1024, 1024)
        (ones @ ones).sum()


def _load_model_type(model_type: str) -> None:
    """Import the classes of a model type; one that cannot be is told by the jobs that need it."""
    import transformers

    try:
        for name in objective_registry:
            objective = objective_named(name)
            getattr(transformers, objective.class_of(model_type) or objective.auto_class)
    except (ImportError, AttributeError, RuntimeError) as error:
        sys.stderr.write(f"model type {model_type} is not loaded beforehand: {error}\n")
