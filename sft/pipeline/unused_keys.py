"""Keys that a user wrote and that have no effect in an experiment."""

from pydantic import BaseModel

from sft.adapters.method import TASK_TYPE
from sft.calibration.selection import PER_ROW, options_in_force
from sft.config.examples import ExampleChoice, inference_choice, training_choice
from sft.config.experiment import ExperimentConfig
from sft.config.inference import InferenceConfig
from sft.config.older_keys import calibration_keys_without_effect
from sft.config.training import TrainingConfig
from sft.pipeline.needed_rows import CALIBRATION, asks_about_labels, calibrates_on_pool
from sft.tasks.encoders import BASELINE, baseline_encoders, encoder_path
from sft.tasks.inputs import task_of
from sft.tasks.task import SETTINGS, Setting
from sft.training.class_weights import KEY as CLASS_WEIGHTS
from sft.training.class_weights import weighs_labels

NEGATIVES: Setting = "dataset.negatives"


def without_effect(config: ExperimentConfig) -> list[str]:
    """Dotted paths of the written keys that change nothing in this experiment; they are in none of its keys."""
    written = [
        *_training(config),
        *_examples(config),
        *_of_other_tasks(config),
        *_baselines(config),
        *_calibration(config),
        *_dev(config),
        *_turns(config),
    ]
    return list(dict.fromkeys(written))


def _training(config: ExperimentConfig) -> list[str]:
    if config.trains:
        found = [f"{config.adapter_section}.{TASK_TYPE}"] if TASK_TYPE in config.adapter_options else []
        is_written = config.training is not None and config.training.class_weights != "none"
        return [*found, CLASS_WEIGHTS] if is_written and not weighs_labels(config) else found
    found = [] if config.training is None else ["training"]
    if task_of(config).uses(NEGATIVES):
        found += _written(config, NEGATIVES)
    if config.adapter_method != "none":
        found.append(config.adapter_section)
    found += [f"seeds.{name}" for name in ("init", "training") if name in config.seeds.model_fields_set]
    return found


def _examples(config: ExperimentConfig) -> list[str]:
    found = _selection(config)
    per_label = task_of(config).counts_per_label
    in_rounds = task_of(config).examples_per_label
    is_seeded = any(choice(config).is_seeded(in_rounds) for choice in (training_choice, inference_choice))
    if "icl" in config.seeds.model_fields_set and not is_seeded:
        found.append("seeds.icl")
    uses_shots = config.uses_shots or (config.dataset.shots != 0 and calibrates_on_pool(config))
    if config.dataset.shots != 0 and not uses_shots:
        found.append("dataset.shots")
    draws_shots = uses_shots and (config.dataset.shots != "all" or (config.trains and asks_about_labels(config)))
    if "shots" in config.seeds.model_fields_set and not draws_shots:
        found.append("seeds.shots")
    if config.dataset.shots_by != "label" and not (draws_shots and per_label):
        found.append("dataset.shots_by")
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


def _of_other_tasks(config: ExperimentConfig) -> list[str]:
    """What is written and only other task types read."""
    unused = [setting for setting in SETTINGS if not task_of(config).uses(setting)]
    return [path for setting in unused for path in _written(config, setting)]


def _written(config: ExperimentConfig, setting: Setting) -> list[str]:
    """A setting, or of a section those of its keys that are not as by default; nothing where it is left out."""
    if setting == CALIBRATION:
        return [] if config.calibration == "none" else [CALIBRATION]
    name, _, key = setting.partition(".")
    section = getattr(config, name)
    value = getattr(section, key)
    if isinstance(value, BaseModel):
        return [f"{setting}.{inner}" for inner in value.model_dump(exclude_defaults=True)]
    return [] if value == type(section).model_fields[key].get_default(call_default_factory=True) else [setting]


def _baselines(config: ExperimentConfig) -> list[str]:
    """The model of a baseline that learns from shots, where there are none."""
    path, task = encoder_path(BASELINE), task_of(config)
    is_unused = task.uses("evaluation.baseline_encoder") and not baseline_encoders(config, task)
    return [path] if config.evaluation.baseline_encoder is not None and is_unused else []


def _calibration(config: ExperimentConfig) -> list[str]:
    """Keys of older tools, and priors for each row where all rows have one context."""
    older = calibration_keys_without_effect(config.calibration)
    found = [f"{CALIBRATION}.{key}" for key in older if key in config.inference.calibration_args]
    if not task_of(config).uses(CALIBRATION):
        return found if config.calibration == "none" else []
    is_in_force = not config.calibration_options.get(PER_ROW) or PER_ROW in options_in_force(config)
    return found if is_in_force else [*found, f"{CALIBRATION}.{PER_ROW}"]


def _dev(config: ExperimentConfig) -> list[str]:
    """A limit of dev rows where there are none."""
    if config.dataset.max_n_dev is not None and config.dataset.splits.dev is None:
        return ["dataset.max_n_dev"]
    return []


def _turns(config: ExperimentConfig) -> list[str]:
    """Which turns are trained, where no conversations are."""
    has_effect = config.prompting.is_conversation and config.trains
    return ["prompting.train_turns"] if config.prompting.train_turns != "last" and not has_effect else []
