"""Attaching the trainable part of an experiment to a loaded model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.adapters.head_labels import take_head_labels
from sft.adapters.method import OF_THE_TRAINED, adapter_method
from sft.adapters.saving import wrong_kind
from sft.exceptions import UserError
from sft.models.loading import SEED_LIMIT
from sft.prompts.train_row import TrainRow


def attach_adapter(
    model: Any,
    method: str,
    options: Mapping[str, Any],
    folder: Path,
    seed: int,
    rows: Sequence[TrainRow] = (),
) -> Any:
    """The model with a new adapter, in training mode, computing what the model computed.

    Args:
        model: the loaded base model; it is changed in place.
        method: name of the adapter method.
        options: that method's own options, and `task_type`, PEFT's word for how the model answers.
        folder: the folder of the grid or config file, for own code.
        seed: of the initial weights; Python's, numpy's and torch's generators are set to it first.
        rows: the training rows, for initialisations that look at them.

    Raises:
        UserError: the options are wrong or do not fit the model.
    """
    from transformers import set_seed

    set_seed(seed % SEED_LIMIT)
    return _ready(adapter_method(method).attach(model, options, folder, rows))


def continue_adapter(model: Any, method: str, options: Mapping[str, Any], adapter: Path) -> Any:
    """The model with a trained adapter to be trained on; method and rank must agree with `options`.

    Args:
        model: the loaded base model.
        method: name of the adapter method of the new training.
        options: that method's own options.
        adapter: folder of the trained adapter.

    Raises:
        UserError: they do not agree, or there is no adapter.
    """
    fault = wrong_kind(method, adapter)
    if fault is not None:
        raise UserError(f"{OF_THE_TRAINED}: {fault}", kind="model")
    take_head_labels(model, adapter)
    return _ready(adapter_method(method).continued(model, options, adapter))


def restore_adapter(model: Any, method: str, options: Mapping[str, Any], folder: Path) -> Any:
    """The model as `attach_adapter` left it, but for the values of the method's own tensors.

    Args:
        model: the loaded base model; it is changed in place.
        method: name of the adapter method.
        options: those that it was attached with.
        folder: what the method's `save_start` wrote.

    Raises:
        UserError: the options do not fit the model, or the folder is of another one.
    """
    return _ready(adapter_method(method).restored(model, options, folder))


def _ready(model: Any) -> Any:
    """In training mode, what is trained in fp32."""
    from sft.adapters.masters import hold_masters

    hold_masters(model)
    return model.train()
