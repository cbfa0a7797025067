"""`training.class_weights`: the loss of a training row by how rare its label is among the training rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.tasks.inputs import task_of

KEY = "training.class_weights"


def weighs_labels(config: ExperimentConfig) -> bool:
    """Whether rows may have other weights than 1; none has where the config tells that labels have equally many."""
    training, dataset = config.training, config.dataset
    if training is None or training.class_weights == "none":
        return False
    is_even = dataset.shots != "all" and dataset.shots_by == "label" and dataset.if_fewer == "error"
    task = task_of(config)
    return config.trains and task.counts_per_label and not task.has_label_sets and not is_even


def balanced_weights(labels: Sequence[str]) -> dict[str, float]:
    """Label -> weight of the loss of its rows.

    Args:
        labels: of the training rows.
    """
    return weights_of(dict(sorted(Counter(labels).items())))


def weights_of(counts: Mapping[str, int]) -> dict[str, float]:
    """Label -> n / (k * n_label) of n rows with k labels, so that each label's rows weigh n / k together.

    Args:
        counts: label -> its rows; a label without any has no part in k.
    """
    there = {label: count for label, count in counts.items() if count}
    total = sum(there.values())
    return {label: total / (len(there) * count) for label, count in there.items()}


def check_class_weights(args: Mapping[str, Any]) -> list[PathMessage]:
    """The arguments of the trainer with which rows cannot be weighed, as (key, message).

    Args:
        args: `training.trainer_args` under the names used here.
    """
    joined = "joins rows, and the loss of each is weighed"
    clashing = {
        "packing": (args.get("packing") is True, joined),
        "padding_free": (args.get("padding_free") is True, joined),
        "label_smoothing_factor": (bool(args.get("label_smoothing_factor")), "takes the loss in its own way"),
    }
    advice = f"leave it out, or write {KEY}: none"
    return [
        (key, f"does not go with {KEY} balanced: it {why}; {advice}")
        for key, (is_set, why) in clashing.items()
        if is_set
    ]
