"""What the in-context examples of a stage depend on, beside the pool they come from and the text that is compared."""

from typing import Any

from sft.config.examples import INFERENCE, TRAINING, ExampleChoice, inference_choice, training_choice
from sft.pipeline.experiment import Experiment
from sft.tasks.inputs import task_of

Fields = dict[str, Any]


def training_examples(experiment: Experiment) -> Fields:
    """Of the examples before training rows."""
    return _fields(experiment, training_choice(experiment.config), TRAINING)


def inference_examples(experiment: Experiment, drawn_per_row: bool) -> Fields:
    """Of the examples at inference; prompts without a row of their own have the fixed ones."""
    config = experiment.config
    choice = inference_choice(config)
    if not drawn_per_row:
        return _fields(experiment, ExampleChoice(choice.k), INFERENCE)
    drawn = choice.k > 0 and choice.selection == "random" and config.inference.random_icl
    return _fields(experiment, choice, INFERENCE) | ({"random_icl": True} if drawn else {})


def _fields(experiment: Experiment, choice: ExampleChoice, section: str) -> Fields:
    if not choice.k:
        return {}
    fields: Fields = {"icl_examples": choice.k}
    if choice.is_seeded(task_of(experiment.config).counts_per_label):
        fields["icl_seed"] = experiment.config.seed_of("icl")
    if choice.selection != "random":
        fields["icl_selection"] = choice.selection
    if choice.encoder is not None:
        fields["icl_encoder"] = experiment.fingerprints.encoders[section]
    return fields
