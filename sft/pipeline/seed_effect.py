"""Whether a seed changes anything in an experiment, by its config alone."""

from sft.config.examples import inference_choice
from sft.config.experiment import ExperimentConfig
from sft.pipeline.needed_rows import calibrates_on_pool
from sft.tasks.inputs import task_of


def seed_has_effect(config: ExperimentConfig) -> bool:
    """Whether any seed changes what the experiment computes."""
    samples = bool(config.inference.generation_args.get("do_sample")) and not task_of(config).has_labels
    choice = inference_choice(config)
    reads_pool = choice.k > 0 or calibrates_on_pool(config)
    draws_pool = reads_pool and config.dataset.shots not in (0, "all")
    return config.trains or samples or draws_pool or choice.is_seeded(task_of(config).has_labels)
