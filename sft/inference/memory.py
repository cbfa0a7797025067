"""How an inference that ran out of memory is tried again: with fewer rows at once. Nothing heavy is imported."""

from sft.config.experiment import ExperimentConfig
from sft.inference.options import is_sampling
from sft.tasks.inputs import task_of


def batch_size_of(config: ExperimentConfig, step: int = 0) -> int | None:
    """The batch size of an experiment after `step` steps towards less memory, None beyond the last.

    Label scores and texts do not depend on it beyond rounding, but the draws of texts at random do: for those there is
    no step.
    """
    draws = task_of(config).output != "label_scores" and is_sampling(config.inference.generation_args)
    size = config.inference.batch_size >> step
    return None if size < 1 or (step and draws) else size
