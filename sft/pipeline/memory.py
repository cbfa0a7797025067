"""Whether a stage that ran out of memory can be tried with less."""

from collections.abc import Mapping
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.inference.answering import answering_of
from sft.runs.records import StageName
from sft.training.memory import with_less_memory
from sft.training.options import trainer_args_of


def has_memory_step(stage: StageName, config: Mapping[str, Any], step: int) -> bool:
    """Whether a stage knows how to run after `step` steps towards less memory (`JobRecord.memory_step`).

    Args:
        stage: the stage.
        config: the resolved config of its job.
        step: 0 is the stage as configured.
    """
    experiment = ExperimentConfig.model_validate(config)
    if stage == "train":
        return with_less_memory(trainer_args_of(experiment), step) is not None
    if stage == "infer":
        return answering_of(experiment).has_step(experiment, step)
    return step == 0
