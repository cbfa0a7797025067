"""What a training objective refuses of the rest of a config."""

from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.tasks.inputs import task_of
from sft.training.argument_checks import BEST_METRICS
from sft.training.class_weights import KEY as CLASS_WEIGHTS
from sft.training.class_weights import weighs_labels
from sft.training.objectives import training_objective_of
from sft.training.objectives.objective import TrainingObjective

KEY = "training.objective"
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
    return [*_labels(config, objective), *_arguments(config, objective)]


def _labels(config: ExperimentConfig, objective: TrainingObjective) -> list[PathMessage]:
    """What an objective that compares labels needs, and whether it can weigh them."""
    found = []
    if objective.needs_labels and not task_of(config).uses("dataset.labels"):
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
    best = written.get(_BEST)
    if objective.own_loss is not None and str(best).removeprefix("eval_") in set(BEST_METRICS) - {"loss"}:
        found.append((f"{_ARGS}.{_BEST}", f"{best!r} is not measured under {KEY} {objective.name}; write loss"))
    return found
