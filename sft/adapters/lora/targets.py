"""The layers that get a LoRA adapter where the user names none.

PEFT's `all-linear` means every linear layer but the head: also parts that text never passes (vision), layers whose
weights are read past them, what chooses between experts, and layers that PEFT itself refuses. An adapter there never
moves, breaks the first step, or breaks the initialiser. So the model is run on a few tokens, and an adapter goes to
the layers that ran. Of models that the tests know to pass every layer, nothing of that is asked.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from torch import nn

from sft.adapters.passing import CHOOSING_NAMES, PASSED_WHOLE, chooses_experts, passed_by_text
from sft.models.answering.heads import head_names, is_within
from sft.models.layers.packed_weights import is_packed
from sft.models.library_warnings import note_warning

if TYPE_CHECKING:
    from peft import LoraConfig

ALL_LINEAR = "all-linear"
NOT_ON_EXPERTS = (
    "lora_dropout",
    "use_dora",
    "lora_bias",
    "velora_config",
    "monteclora_config",
    "use_bdlora",
    "alora_invocation_tokens",
)
"""Options that PEFT's adapters on joined experts do not take (`peft.tuners.lora.layer.ParamWrapper`)."""

EXPERTS_DIM = 3


def choose_targets(model: Any, config: "LoraConfig", init: str | None) -> None:
    """Write into a config the layers that are meant by `all-linear`; nothing where PEFT would find the same.

    Joined experts are taken as PEFT takes them, or left out where it cannot, which is noted.

    Args:
        model: the loaded base model, in eval mode.
        config: of the adapter.
        init: PEFT's initialisation where it reads weights, which it knows of linear layers only.
    """
    packed = any(map(is_packed, model.modules()))
    if config.target_modules != ALL_LINEAR or (model.config.model_type in PASSED_WHOLE and not packed):
        return
    whole = _all_linear(model, config.task_type)
    kept = {name for name in text_layers(model, config.task_type) if _takes(config, model, name)}
    remaining = _with_experts(model, config, init)
    if remaining is not None:
        kept = {name for name in kept if _leaf(name) in remaining}
    if kept != whole or remaining is not None or packed:
        config.target_modules = short_names(model, kept)


def text_layers(model: Any, task_type: str | None) -> set[str]:
    """The names of the linear layers but the head that a text passes, and that do not weigh experts."""
    passed = passed_by_text(model, _all_linear(model, task_type))
    head = head_names(model)
    return {name for name in passed if not is_within(name, head) and not chooses_experts(model, name)}


def joined_targets(model: Any, config: "LoraConfig") -> bool:
    """Whether an adapter of this config goes on parameters, such as joined experts, as PEFT reads it."""
    return bool(_converted(model, config).target_parameters)


def _with_experts(model: Any, config: "LoraConfig", init: str | None) -> Collection[str] | None:
    """Name the joined experts in the config; the last names of other layers that it may name, None where it is free.

    PEFT takes names of earlier forms of these models for parameters of experts, whatever layers have such names today.
    """
    converted = _converted(model, config)
    if converted.target_modules == ALL_LINEAR:
        if not config.target_parameters and any(map(_are_experts, model.modules())):
            note_warning("the joined experts get no adapter: PEFT finds them only where target_parameters names them")
        return None
    written = set(config.target_parameters or ())
    found = set(converted.target_parameters or ())
    experts = written | {name for name in found if _leaf(name.removesuffix(".weight")) not in CHOOSING_NAMES}
    refused = next((key for key in NOT_ON_EXPERTS if getattr(config, key, None)), None)
    if init is not None or refused is not None:
        reason = f"init_lora_weights {init}" if init is not None else refused
        note_warning(f"the joined experts get no adapter: PEFT's adapters on them take no {reason}")
    elif experts:
        config.target_parameters = sorted(experts)
        config.rank_pattern, config.alpha_pattern = converted.rank_pattern, converted.alpha_pattern
    return set(converted.target_modules)


def _converted(model: Any, config: "LoraConfig") -> "LoraConfig":
    """The config as PEFT reads it for models whose experts were layers once and are joined today."""
    import copy

    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    read = copy.deepcopy(config)
    convert_peft_config_for_transformers(read, model, None)
    return read


def _all_linear(model: Any, task_type: str | None) -> set[str]:
    """The names that PEFT finds for `all-linear`, and those of layers of packed words, which it takes only by name."""
    from peft import LoraConfig
    from peft.tuners.tuners_utils import _maybe_include_all_linear_layers

    asked = LoraConfig(target_modules=ALL_LINEAR, task_type=task_type)
    packed = {name for name, module in model.named_modules() if is_packed(module)}
    return packed | set(_maybe_include_all_linear_layers(asked, model).target_modules or ())


def _are_experts(module: nn.Module) -> bool:
    """Whether a module holds the matrices of joined experts."""
    joined = any(parameter.dim() == EXPERTS_DIM for parameter in module.parameters(recurse=False))
    return joined and "Experts" in type(module).__name__


def _takes(config: "LoraConfig", model: Any, name: str) -> bool:
    """Whether PEFT puts an adapter on a layer of this name: on some it does not, because kernels read past them."""
    from peft.tuners.tuners_utils import _check_lora_target_modules_mamba

    try:
        _check_lora_target_modules_mamba(config, model, _leaf(name))
    except ValueError:
        return False
    return True


def short_names(model: nn.Module, names: Collection[str]) -> set[str]:
    """The same layers by their last names, as far as no other module has such a name."""
    named = defaultdict(set)
    for name, _ in model.named_modules():
        named[_leaf(name)].add(name)
    kept = set(names)
    return {_leaf(name) if named[_leaf(name)] <= kept else name for name in kept}


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]
