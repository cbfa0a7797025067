"""Keys that a user wrote and that have no effect in an experiment."""

from sft.config.experiment import ExperimentConfig
from sft.tasks.inputs import task_of


def without_effect(config: ExperimentConfig) -> list[str]:
    """Dotted paths of the written keys that change nothing in this experiment; they are in none of its keys."""
    written = [
        *_training(config),
        *_examples(config),
        *_labels(config),
        *_generation(config),
        *_dev(config),
    ]
    return list(dict.fromkeys(written))


def _training(config: ExperimentConfig) -> list[str]:
    if config.trains:
        return []
    found = [] if config.training is None else ["training"]
    if config.adapter_method != "none":
        found.append("lora" if config.lora is not None else "adapter")
    found += [f"seeds.{name}" for name in ("init", "training") if name in config.seeds.model_fields_set]
    return found


def _examples(config: ExperimentConfig) -> list[str]:
    found = []
    in_training = config.trains and config.training is not None and config.training.icl_examples > 0
    if not config.inference.icl_examples:
        found += ["inference.random_icl"] if config.inference.random_icl else []
        found += ["seeds.icl"] if "icl" in config.seeds.model_fields_set and not in_training else []
    if config.dataset.shots != 0 and not config.uses_shots:
        found.append("dataset.shots")
    draws_shots = config.uses_shots and config.dataset.shots != "all"
    if "shots" in config.seeds.model_fields_set and not draws_shots:
        found.append("seeds.shots")
    return found


def _labels(config: ExperimentConfig) -> list[str]:
    if task_of(config).has_labels:
        found = {
            "inference.generation_args": bool(config.inference.generation_args),
            "inference.tokenizer_name": config.inference.tokenizer_name is not None,
            "evaluation.tokenizer_name": config.evaluation.tokenizer_name is not None,
        }
        return [path for path, written in found.items() if written]
    return [] if config.dataset.labels is None else ["dataset.labels"]


def _generation(config: ExperimentConfig) -> list[str]:
    if task_of(config).has_labels and config.prompting.max_output_length is not None:
        return ["prompting.max_output_length"]
    return []


def _dev(config: ExperimentConfig) -> list[str]:
    if config.dataset.max_n_dev is not None and config.dataset.splits.dev is None:
        return ["dataset.max_n_dev"]
    return []


def seed_has_effect(config: ExperimentConfig) -> bool:
    """Whether any seed changes what the experiment computes."""
    samples = bool(config.inference.generation_args.get("do_sample")) and not task_of(config).has_labels
    return config.trains or config.inference.icl_examples > 0 or samples
