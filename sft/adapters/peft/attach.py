"""Builds an adapter of one of PEFT's methods on a loaded model."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sft.adapters.layer_sizes import ALL_LINEAR, rank_fault, ranks_of, targeted, unmatched_targets
from sft.adapters.lora.target_checks import ON_HEAD
from sft.adapters.peft.fit import require_patterns, told_fault
from sft.adapters.peft.fitting import fitted_options, target_sizes
from sft.adapters.peft.row import TIED_ROWS, PeftRow
from sft.adapters.peft.sizes import size_findings
from sft.adapters.peft.targets import default_targets, require_layers
from sft.config.library.keys import dataclass_fields
from sft.exceptions import UserError
from sft.initialization.layers import ADAPTER
from sft.models.library_warnings import judged_warnings
from sft.models.storages import BITSANDBYTES, is_conv1d, known_storage
from sft.registry import import_object

PATTERNS = ("rank_pattern", "alpha_pattern", "lambda_pattern", "n_frequency_pattern", "block_size_pattern")
"""Options that give single layers, by the patterns of their names, another value of an option."""

REFUSALS = (ValueError, TypeError, NotImplementedError)
"""What PEFT raises of options and targets that it does not take; whatever else it stumbles over is a bug."""


def attach_peft(model: Any, row: PeftRow, options: Mapping[str, Any]) -> Any:
    """The `PeftModel` with an adapter called `default`.

    Args:
        model: the loaded base model.
        row: of the method.
        options: of its config class, as written; null is what is left out.

    Raises:
        UserError: the options do not fit the model.
    """
    from peft import get_peft_model

    written = {key: value for key, value in options.items() if value is not None}
    own = {**_layout(model, row), **row.defaults}
    if "target_modules" not in written:
        own |= default_targets(model, row.targets, written.get("task_type"))
    if row.either and any(written.get(key) for key in row.either):
        own |= dict.fromkeys(row.either, 0)
    own |= fitted_options(model, row, {**own, **written})
    fault = unmatched_targets(written, [name for name, _ in model.named_modules()])
    if fault is not None:
        raise UserError(f"adapter.target_modules: {fault}", kind="model")
    require_layers(model, row, {**own, **written})
    _check_sizes(model, row, {**own, **written})
    try:
        config = import_object(row.config)(**copy.deepcopy({**own, **written}))
    except ValueError as error:
        raise UserError(f"adapter: {told_fault(error)}") from error
    try:
        with judged_warnings("the adapter", "config"):
            attached = get_peft_model(model, config)
    except REFUSALS as error:
        raise UserError(f"the adapter does not fit the model: {told_fault(error)}", kind="model") from error
    _check_wrapped(attached, row)
    _check_ranks(attached, row)
    if row.name != "osf":  # which looks for its patterns anywhere in a name
        require_patterns(attached, ADAPTER, "adapter.", PATTERNS)
    make_trainable(attached, row)
    return attached


def _check_sizes(model: Any, row: PeftRow, options: Mapping[str, Any]) -> None:
    """Refuse options that do not fit the layers, of models too whose files told nothing of them."""
    sizes = target_sizes(model, options) if row.sizes else {}
    kept = targeted({**options, "target_modules": ALL_LINEAR}, sizes)
    blocks = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    for option, fault in size_findings(row, options, {name: sizes[name] for name in kept}, blocks):
        raise UserError(f"adapter.{option}: {fault}")


def make_trainable(model: Any, row: PeftRow) -> None:
    """Have a new or loaded `PeftModel` compute in a training as PEFT means it to."""
    _follow_forward(model)
    if row.adds_in_place:
        _copy_outputs(model)


def _copy_outputs(model: nn.Module) -> None:
    """Have layers of bitsandbytes give outputs that may be changed.

    With a bias they are views, which autograd lets nobody change. PEFT copies them where it has classes of its own for
    such layers, and not where a method has one class for all.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.modules():
        base = module.get_base_layer() if isinstance(module, BaseTunerLayer) else None
        if base is not None and getattr(known_storage(base), "name", None) in BITSANDBYTES:
            base.register_forward_hook(_copy)


def _copy(layer: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output.clone()


def _follow_forward(model: Any) -> None:
    """Have a `PeftModel` call the forward pass that its base has when it is called.

    PEFT's adaption prompts keep the one of the time they were made, and the trainer gives the base another.
    """
    tuner = model.base_model
    if "forward" in vars(tuner) and not model.active_peft_config.is_prompt_learning:
        tuner.forward = lambda *args, **named: tuner.model.forward(*args, **named)


def _layout(model: nn.Module, row: PeftRow) -> dict[str, Any]:
    """GPT-2 stores its weights as (in, out), which some config classes want to be told."""
    takes = "fan_in_fan_out" in dataclass_fields(row.config)
    return {"fan_in_fan_out": True} if takes and any(map(is_conv1d, model.modules())) else {}


def _check_wrapped(model: Any, row: PeftRow) -> None:
    """Refuse what PEFT takes without an error, and what then fails at the first step or trains nothing."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if isinstance(model.get_output_embeddings(), BaseTunerLayer):
        is_tied = row.targets == "embedding"
        fault = f"method {row.name} {TIED_ROWS}" if is_tied else f"target_modules {ON_HEAD.format(head='its name')}"
        raise UserError(f"adapter.{fault}", kind="model")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(
            f"adapter.method {row.name} has nothing to train on this model with these options", kind="model"
        )


def _check_ranks(model: Any, row: PeftRow) -> None:
    """Refuse a rank above the size of a layer."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if row.rank is None:
        return
    layers = {
        name: module for name, module in model.base_model.model.named_modules() if isinstance(module, BaseTunerLayer)
    }
    sizes = {
        name: (layer.out_features, layer.in_features)
        for name, layer in layers.items()
        if hasattr(layer, "in_features")
    }
    config = model.active_peft_config
    options = {"r": getattr(config, row.rank), "rank_pattern": getattr(config, "rank_pattern", None)}
    fault = rank_fault(ranks_of(options, sizes, 1), sizes, has_patterns=row.takes_rank_patterns)
    if fault is not None:
        raise UserError(f"adapter.{row.rank}: {fault}")
