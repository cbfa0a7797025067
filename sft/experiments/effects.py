"""Keys that a user wrote and that have no effect in an experiment."""

from sft.calibration.selection import PER_ROW, options_in_force
from sft.config.examples import ExampleChoice, inference_choice, training_choice
from sft.config.experiment import ExperimentConfig, InferenceConfig, TrainingConfig
from sft.pipeline.needed_rows import CALIBRATION, calibrates_on_pool
from sft.tasks.inputs import task_of


def without_effect(config: ExperimentConfig) -> list[str]:
    """Dotted paths of the written keys that change nothing in this experiment; they are in none of its keys."""
    written = [
        *_training(config),
        *_examples(config),
        *_labels(config),
        *_generation(config),
        *_label_scoring(config),
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
    found = _selection(config)
    has_labels = task_of(config).has_labels
    is_seeded = any(choice(config).is_seeded(has_labels) for choice in (training_choice, inference_choice))
    if "icl" in config.seeds.model_fields_set and not is_seeded:
        found.append("seeds.icl")
    uses_shots = config.uses_shots or (config.dataset.shots != 0 and calibrates_on_pool(config))
    if config.dataset.shots != 0 and not uses_shots:
        found.append("dataset.shots")
    draws_shots = uses_shots and config.dataset.shots != "all"
    if "shots" in config.seeds.model_fields_set and not draws_shots:
        found.append("seeds.shots")
    return found


def _selection(config: ExperimentConfig) -> list[str]:
    """Of how examples are chosen: all of it where there are none, `random_icl` with `nearest`, an encoder without."""
    choice = inference_choice(config)
    found = _unused("inference", config.inference, choice)
    if config.inference.random_icl and (not choice.k or choice.selection == "nearest"):
        found.append("inference.random_icl")
    if config.trains and config.training is not None:
        found += _unused("training", config.training, training_choice(config))
    return found


def _unused(name: str, section: TrainingConfig | InferenceConfig, choice: ExampleChoice) -> list[str]:
    unused = {
        "icl_selection": section.icl_selection != choice.selection,
        "icl_encoder": section.icl_encoder != choice.encoder,
    }
    return [f"{name}.{key}" for key, is_unused in unused.items() if is_unused]


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


def _label_scoring(config: ExperimentConfig) -> list[str]:
    """How label scores are compared and calibrated, where texts are generated; priors for each row of one context."""
    if task_of(config).has_labels:
        no_effect = config.calibration_options.get(PER_ROW) and PER_ROW not in options_in_force(config)
        return [f"{CALIBRATION}.{PER_ROW}"] if no_effect else []
    written = config.inference.label_scoring.model_dump(exclude_defaults=True)
    found = [f"inference.label_scoring.{key}" for key in written]
    return found if config.calibration == "none" else [*found, CALIBRATION]


def _dev(config: ExperimentConfig) -> list[str]:
    if config.dataset.max_n_dev is not None and config.dataset.splits.dev is None:
        return ["dataset.max_n_dev"]
    return []
