"""What can be wrong with the head that an experiment measures: nothing trains it, or it answers with other labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.adapters.head_labels import FILE, labels_fault, read_head_labels
from sft.adapters.method import OF_THE_TRAINED, TASK_TYPE, adapter_method
from sft.adapters.own_method import METHOD_FILE
from sft.adapters.peft.folder import CONFIG, adapter_config
from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.exceptions import UserError
from sft.models.answering.kinds import has_own_head, head_fault
from sft.models.objective import Objective
from sft.objectives import objective_of
from sft.tasks.inputs import task_of


def head_findings(
    config: ExperimentConfig, labels: Sequence[str] | None, told: Mapping[str, Any], folder: Path
) -> list[PathMessage]:
    """What is wrong with the head of an experiment, or with the trained adapter that it should come from.

    Args:
        config: the experiment, sound in itself.
        labels: gold values of its data; None where its task type has none.
        told: what the model's `config.json` says; empty where nobody knows.
        folder: what local paths are relative to.
    """
    objective = objective_of(config, task_of(config).objectives)
    if config.model.adapter is not None:
        has_new_head = objective.has_head and bool(told) and not has_own_head(told, objective)
        fault = _fault_of_the_adapter(config, objective, labels or (), folder, has_new_head)
        if fault is not None:
            return [(OF_THE_TRAINED, fault)]
    if not objective.has_head or not told or labels is None:
        return []
    fault = head_fault(told, objective, labels)
    if fault is not None:
        return [("model.name", f"{config.model.name!r}: {fault}")]
    if config.trains or config.model.adapter is not None or has_own_head(told, objective):
        return []
    is_new = f"the model has no head for labels, and a new one would answer at random ({objective.auto_class})"
    if config.dataset.shots == 0:
        return [("dataset.shots", f"0: {is_new}; write shots to train it on, and lora: {{}} or an adapter")]
    return [("model.name", f"{config.model.name!r}: {is_new}; add lora: {{}} or an adapter, which trains it too")]


def last_layer_findings(config: ExperimentConfig) -> list[PathMessage]:
    """A sound method that cannot train the output head beside its own part."""
    if not config.trains_head:
        return []
    try:
        adapter_method(config.adapter_method).with_head(config.adapter_options, ["the output head"])
    except UserError as error:
        return [("training.last_layer", f"true: {error}")]
    return []


def _fault_of_the_adapter(
    config: ExperimentConfig, objective: Objective, labels: Sequence[str], folder: Path, has_new_head: bool
) -> str | None:
    """Why a trained adapter does not answer as this experiment does; None where it may.

    Where the head is not in the checkpoint it must come with the adapter, and nothing but our file names its outputs.
    """
    adapter = folder / str(config.model.adapter)
    try:
        known = read_head_labels(adapter)
    except UserError as error:
        return str(error).removeprefix(f"{OF_THE_TRAINED}: ")
    other = f"{config.model.adapter!r} was trained for another way to answer"
    saved = _saved_task_type(adapter)
    if saved is not None and saved != objective.peft_task_type:
        return f"{other} (task_type {saved}, not {objective.peft_task_type})"
    # PEFT's folders say how the model answered; in those of other methods only the labels of a head tell
    has_head = known is not None
    if has_head != objective.has_head and (has_head or (adapter / METHOD_FILE).is_file()):
        return f"{other}: {'with' if has_head else 'without'} a head, and here it is {objective.name}"
    if known is None and has_new_head:
        text = f"{config.model.adapter!r} has no {FILE}, and the model no head: nothing says what its outputs mean"
        return f"{text}; train a new adapter, or write the labels of its head there as a JSON list in their order"
    return None if known is None else labels_fault(adapter, labels, known)


def _saved_task_type(adapter: Path) -> str | None:
    """What PEFT wrote of how the model of an adapter answers; None where it wrote nothing."""
    try:
        return adapter_config(adapter).get(TASK_TYPE) if (adapter / CONFIG).is_file() else None
    except UserError:
        return None  # a finding of the model section
