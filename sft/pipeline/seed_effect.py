"""Whether a seed changes anything in an experiment, by its config alone."""

from sft.config.examples import inference_choice
from sft.config.experiment import ExperimentConfig
from sft.inference.options import is_sampling
from sft.pipeline.needed_rows import calibrates_on_pool
from sft.tasks.inputs import task_of


def samples_texts(config: ExperimentConfig) -> bool:
    """Whether the experiment writes texts that are drawn at random."""
    return task_of(config).uses("inference.generation_args") and is_sampling(config.inference.generation_args)


def seed_has_effect(config: ExperimentConfig) -> bool:
    """Whether any seed changes what the experiment computes."""
    choice = inference_choice(config)
    reads_pool = choice.k > 0 or calibrates_on_pool(config)
    draws_pool = reads_pool and config.dataset.shots not in (0, "all")
    return config.trains or samples_texts(config) or draws_pool or choice.is_seeded(task_of(config).counts_per_label)
