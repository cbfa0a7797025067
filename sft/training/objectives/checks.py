"""What a training objective refuses of the rest of a config."""

from collections.abc import Mapping
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.models.objective import Objective
from sft.objectives import objective_of
from sft.tasks.inputs import task_of
from sft.training.argument_checks import BEST_METRICS
from sft.training.class_weights import KEY as CLASS_WEIGHTS
from sft.training.class_weights import weighs_labels
from sft.training.objectives import training_objective_of
from sft.training.objectives.objective import TrainingObjective

KEY = "training.objective"
DEFAULT = "nll"
_ARGS = "training.trainer_args"
_LOSS_TYPE = "loss_type"
_BEST = "metric_for_best_model"


def check_objective(config: ExperimentConfig) -> list[PathMessage]:
    """What does not go with the objective of a training, as (dotted path, message).

    Args:
        config: its own shape is sound, and its task type is known.
    """
    training = config.training
    if training is None or not config.trains:
        return []
    loss_type = training.trainer_args.get(_LOSS_TYPE)
    if KEY.partition(".")[2] in training.model_fields_set and loss_type not in (None, training.objective):
        text = f"{loss_type!r} and {KEY} {training.objective!r} are two losses; leave one of them out"
        return [(f"{_ARGS}.{_LOSS_TYPE}", text)]
    objective = training_objective_of(config)
    how = objective_of(config, task_of(config).objectives)
    if how.own_loss is not None:
        return _under_own_loss(config, how, objective)
    return [*_labels(config, objective), *_arguments(config, objective)]


def _under_own_loss(config: ExperimentConfig, how: Objective, objective: TrainingObjective) -> list[PathMessage]:
    """What does not go with a model whose way to answer has one loss only."""
    written = config.training.trainer_args if config.training else {}
    if objective.name != DEFAULT:
        names_it = config.training is not None and config.training.objective == objective.name
        path = KEY if names_it else f"{_ARGS}.{_LOSS_TYPE}"
        loss = how.answers[task_of(config).output].loss or how.loss
        text = f"{objective.name!r}: a model that answers as {how.name} has one loss, the {loss}; leave it out"
        return [(path, text)]
    found = [
        (f"{_ARGS}.{key}", f"{written[key]!r} does not go with {how.name}: it {why}; leave it out")
        for key, why in how.clashes.items()
        if written.get(key)
    ]
    return [*found, *_best(written, how.name)]


def _labels(config: ExperimentConfig, objective: TrainingObjective) -> list[PathMessage]:
    """What an objective that compares labels needs, and whether it can weigh them."""
    found = []
    if objective.needs_labels and task_of(config).output != "label_scores":
        text = f"{objective.name!r} compares the labels of a classification, and dataset.task_type is"
        found.append((KEY, f"{text} {config.dataset.task_type!r}; write nll or dft"))
    if objective.needs_labels and config.prompting.train_turns == "all":
        text = f"'all': {KEY} {objective.name} trains the last answer alone; write last"
        found.append(("prompting.train_turns", text))
    if weighs_labels(config) and not objective.weighs_rows:
        text = f"'balanced': {objective.name} weighs the loss in its own way; write none, or {KEY}: nll"
        found.append((CLASS_WEIGHTS, text))
    return found


def _arguments(config: ExperimentConfig, objective: TrainingObjective) -> list[PathMessage]:
    written = config.training.trainer_args if config.training else {}
    found = [
        (f"{_ARGS}.{key}", f"{written[key]!r} does not go with {KEY} {objective.name}: it {why}; leave it out")
        for key, why in objective.clashes.items()
        if written.get(key)
    ]
    return [*found, *(_best(written, f"{KEY} {objective.name}") if objective.own_loss is not None else [])]


def _best(written: Mapping[str, Any], named: str) -> list[PathMessage]:
    """What a loss of the project's own does not measure while a model trains."""
    best = written.get(_BEST)
    if str(best).removeprefix("eval_") not in set(BEST_METRICS) - {"loss"}:
        return []
    return [(f"{_ARGS}.{_BEST}", f"{best!r} is not measured under {named}; write loss")]
