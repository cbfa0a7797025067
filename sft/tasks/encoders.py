"""The sentence-embedding models that an experiment reads: before its prompts, and for the baselines beside it."""

from sft.config.examples import encoders_in_force
from sft.config.experiment import ExperimentConfig
from sft.tasks.task import Task

BASELINE = "evaluation"
_KEYS = {BASELINE: "baseline_encoder"}


def encoders_of(config: ExperimentConfig, task: Task) -> dict[str, str]:
    """Section (`training`, `inference`, `evaluation`) -> name of the model, where it has an effect.

    Args:
        config: the experiment.
        task: its task type.
    """
    return encoders_in_force(config) | baseline_encoders(config, task)


def baseline_encoders(config: ExperimentConfig, task: Task) -> dict[str, str]:
    """`evaluation` -> the model of the baseline of embeddings; nothing where none is written or there are no shots."""
    name = config.evaluation.baseline_encoder
    has_effect = config.uses_shots and task.uses("evaluation.baseline_encoder")
    return {BASELINE: name} if name is not None and has_effect else {}


def encoder_path(section: str) -> str:
    """The dotted path at which the model of a section is written."""
    return f"{section}.{_KEYS.get(section, 'icl_encoder')}"
