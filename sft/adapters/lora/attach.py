"""Builds a LoRA adapter on a loaded model, or takes a trained one up again."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sft.adapters.layer_sizes import rank_fault, unmatched_targets
from sft.adapters.lora.data_driven import add_settings, measure
from sft.adapters.lora.float_copies import begin_on_copies, hold_frozen
from sft.adapters.lora.initialization import InitChoice
from sft.adapters.lora.options import disagreements
from sft.adapters.lora.target_checks import ON_HEAD, TWICE, check_on_model
from sft.adapters.lora.targets import choose_targets, joined_targets
from sft.adapters.method import require_agreement
from sft.adapters.passing import weighs_experts
from sft.adapters.peft.fit import require_patterns
from sft.adapters.peft.folder import load_peft
from sft.exceptions import UserError
from sft.initialization.apply import anchor_rounded, initialize, shared_weights
from sft.initialization.initializers import initializer_registry
from sft.initialization.layers import ADAPTER, OF_BASE, adapter_layers
from sft.models.library_warnings import judged_warnings, note_warning
from sft.models.storages import HALF_TYPES, is_conv1d, known_storage
from sft.prompts.train_row import TrainRow
from sft.registry import load

if TYPE_CHECKING:
    from peft import LoraConfig

QUANTIZED_TYPES = ("Params4bit", "Int8Params")
OF_LAYERS = "knows linear layers only: take joined experts off the targets, or take pissa or pca"


def attach_lora(model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow] = ()) -> Any:
    """The `PeftModel` with an adapter called `default`, initialised from the base weights.

    Args:
        model: the loaded base model.
        options: of `peft.LoraConfig`; `init_lora_weights` also names an initialiser of ours or own code.
        folder: the folder of the grid or config file, for own code.
        rows: the training rows, for initialisations that look at them.

    Raises:
        UserError: the options do not fit the model.
    """
    choice = InitChoice.of(options.get("init_lora_weights", True))
    # PEFT gives a weight that it moves new memory, so that nothing needs to be copied here.
    half = {weight: weight.data for weight in model.parameters() if choice.moves_base and weight.dtype in HALF_TYPES}
    attached = build_lora(model, options, choice, rows)
    if options.get("use_dora"):
        _check_norms(attached)
    if _is_read_as_copies(attached, choice):
        begin_on_copies(attached, choice, rows)
    elif choice.moves_base:
        _put_back(attached, half, choice)
        anchor_rounded(attached)
    if choice.kind in ("ours", "own"):
        initialize(attached, load(initializer_registry, choice.name, "initialiser", folder), choice.name, rows)
    return attached


def build_lora(
    model: Any,
    options: Mapping[str, Any],
    choice: InitChoice,
    rows: Sequence[TrainRow] = (),
    initialized: bool = True,
) -> Any:
    """The `PeftModel` with an adapter as PEFT makes it; an initialiser of ours has not been at work.

    Args:
        model: the loaded base model.
        options: of `peft.LoraConfig`.
        choice: its initialisation, understood.
        rows: the training rows, for initialisations of PEFT's that look at them.
        initialized: false leaves PEFT's own initialisation out, which the config still names.

    Raises:
        UserError: the options do not fit the model.
    """
    from peft import get_peft_model

    config = _config(model, options, choice)
    as_copies = _is_read_as_copies(model, choice)
    said = True if as_copies else config.init_lora_weights
    try:
        if as_copies or not initialized:
            config.init_lora_weights = True
        elif choice.reads_rows:
            measure(model, config, choice.name, rows)
        with judged_warnings("the adapter", "config"):
            attached = get_peft_model(model, config)
    except (TypeError, ValueError, IndexError, NotImplementedError) as error:
        fault = unmatched_targets(options, _layers(model))
        raise UserError(f"target_modules: {fault}" if fault else _no_fit(error), kind="model") from error
    _check_attached(attached, options)
    attached.peft_config[ADAPTER].init_lora_weights = said
    if as_copies and choice.name == "mica":
        hold_frozen(attached)
    return attached


def _config(model: Any, options: Mapping[str, Any], choice: InitChoice) -> "LoraConfig":
    """The config of the adapter, in which PEFT's `all-linear` is what is meant by it."""
    from peft import LoraConfig

    for finding in check_on_model(options, model.config.get_text_config().to_dict()):
        raise UserError(f"{finding.path}: {finding.message}")
    initialization = choice.name if choice.kind == "peft" else True
    fixed = {"init_lora_weights": initialization}
    try:
        config = LoraConfig(**copy.deepcopy({**_own_defaults(model), **options, **fixed}))
        if choice.reads_rows:
            add_settings(config, choice.name)
        weighing = choice.name if choice.reads_weights else None
        choose_targets(model, config, weighing)
        is_joined = weighing is not None and joined_targets(model, config)
    except (TypeError, ValueError, IndexError, NotImplementedError) as error:
        raise UserError(_no_fit(error)) from error
    if is_joined:
        raise UserError(f"init_lora_weights {weighing} of PEFT {OF_LAYERS}", kind="model")
    return config


def continue_lora(model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
    """The `PeftModel` with the trained adapter in `adapter`, its weights trainable.

    The adapter keeps its own shape; an option that says otherwise is an error. Dropout is taken from `options`.

    Raises:
        UserError: the folder holds no LoRA adapter, or an option disagrees with it.
    """
    require_agreement(disagreements(options, adapter))
    return load_peft(model, adapter, trainable=True, dropout=options.get("lora_dropout"))


def _no_fit(error: Exception) -> str:
    return f"the adapter does not fit the model: {' '.join(str(error).split())}"


def _put_back(model: Any, half: Mapping[nn.Parameter, torch.Tensor], choice: InitChoice) -> None:
    """Undo what PEFT took off 16-bit weights, which round what is left."""
    shared = shared_weights(model)
    for layer in adapter_layers(model):
        if layer.base_weight.data_ptr() in shared:
            text = f"moves weights once per layer, and {layer.name} shares its own with another place; pissa takes any"
            raise UserError(f"init_lora_weights {choice.name} of PEFT {text}")
        weight: Any = layer.base.weight
        if weight in half:
            weight.data = half[weight]


def _check_attached(attached: Any, options: Mapping[str, Any]) -> None:
    """Refuse, or note, what PEFT has taken without a word."""
    _check_wrapped(attached.get_base_model())
    _check_ranks(attached)
    _note_unmatched(attached, options)
    require_patterns(attached, ADAPTER, "", ("rank_pattern", "alpha_pattern"))


def _check_wrapped(model: Any) -> None:
    """Refuse what PEFT wraps without an error, and what then fails at the first step or computes something else."""
    from peft.tuners.lora.layer import Linear
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper, TrainableTokensWrapper

    if isinstance(model.get_output_embeddings(), BaseTunerLayer):
        raise UserError(f"target_modules {ON_HEAD.format(head='its name')}")
    for name, module in model.named_modules():
        if isinstance(module, Linear) and weighs_experts(module.get_base_layer()):
            kind = type(module.get_base_layer()).__name__
            text = (
                f"takes {name}, a {kind}, which gives more than the linear layer that PEFT takes it for; leave it out"
            )
            raise UserError(f"target_modules {text}", kind="model")
        if not isinstance(module, TrainableTokensWrapper):
            continue
        base = module.token_adapter.get_base_layer()
        if isinstance(base, AuxiliaryTrainingWrapper):
            raise UserError(f"trainable_token_indices {TWICE}")
        if getattr(base, "bias", None) is not None:
            text = f"trainable_token_indices would drop the bias of {name}; name the input embedding alone"
            raise UserError(text)


def _check_ranks(model: nn.Module) -> None:
    """Refuse ranks above the size of a layer, be it one whose size no plan knows."""
    from peft.tuners.lora.layer import LoraLayer

    layers = {
        name.removeprefix(OF_BASE): module
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer) and ADAPTER in module.r
    }
    sizes = {name: (int(module.out_features), int(module.in_features)) for name, module in layers.items()}
    fault = rank_fault({name: int(module.r[ADAPTER]) for name, module in layers.items()}, sizes)
    if fault is not None:
        raise UserError(f"r: {fault}", kind="config")


def _note_unmatched(model: Any, options: Mapping[str, Any]) -> None:
    """Tell of each target that no layer has the name of, where others have; PEFT passes over it."""
    written, names = options.get("target_modules"), _layers(model.get_base_model())
    if model.peft_config[ADAPTER].target_parameters:  # PEFT reads some names as those of joined experts
        return
    for target in written if isinstance(written, list) else ():
        fault = unmatched_targets({"target_modules": [target]}, names)
        if fault is not None:
            note_warning(f"target_modules: {fault}")


def _layers(model: nn.Module) -> list[str]:
    """The names of the modules of a base model that hold weights themselves, be they wrapped already."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, BaseTunerLayer) or next(module.parameters(recurse=False), None) is not None
        if ".base_layer" not in name and ".lora_" not in name
    ]


def _check_norms(model: nn.Module) -> None:
    """DoRA starts from the norms of the weights, which PEFT takes of what is stored."""
    from peft.tuners.lora.layer import Linear

    for name, module in model.named_modules():
        if not isinstance(module, Linear):
            continue
        storage = known_storage(module.get_base_layer())
        if storage is None or not storage.peft_reads:
            kind = type(module.get_base_layer()).__name__
            text = f"use_dora takes the norms of what {name} ({kind}) stores, not of its weights; leave it out"
            raise UserError(text, kind="model")


def _own_defaults(model: nn.Module) -> dict[str, Any]:
    """GPT-2 stores its weights as (in, out)."""
    return {"fan_in_fan_out": True} if _has_conv1d(model) else {}


def _has_conv1d(model: nn.Module) -> bool:
    return any(is_conv1d(module) for module in model.modules())


def _is_read_as_copies(model: Any, choice: InitChoice) -> bool:
    """Whether PEFT's initialisation would refuse these weights, round them anew or take them for other ones."""
    kinds = {type(weight).__name__ for weight in model.parameters()}
    is_quantized = bool(kinds.intersection(QUANTIZED_TYPES)) or hasattr(model, "hf_quantizer")
    if choice.name == "orthogonal" and any(weight.dtype in HALF_TYPES for weight in model.parameters()):
        return choice.kind == "peft"  # in 16 bits the product of the factors is not zero
    return choice.reads_weights and (is_quantized or (choice.name == "olora" and _has_conv1d(model)))
