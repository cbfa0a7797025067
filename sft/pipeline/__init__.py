"""The stages of one experiment, their keys and jobs."""

from sft.registry import Registry

stage_registry: Registry = {
    "train": "sft.training.stage:run",
    "infer": "sft.inference.stage:run",
    "evaluate": "sft.evaluation.stage:run",
    "baseline": "sft.evaluation.baselines.stage:run",
    "export": "sft.deployment.exporting.stage:run",
}
