"""What gets an adapter of PEFT's other methods where the user names nothing, and what is near where nothing fits."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from sft.adapters.layer_sizes import MOST_CANDIDATES, is_named, token_fault
from sft.adapters.lora.targets import ALL_LINEAR, short_names, text_layers
from sft.adapters.passing import PASSED_WHOLE, passed_by_text
from sft.adapters.peft.row import TOKENS, PeftRow, Targets
from sft.exceptions import UserError
from sft.models.layers.packed_weights import is_packed

KEYS_AND_VALUES = re.compile(
    r"(?:^|[._])(?:k|v|key|value|k_proj|v_proj|key_proj|value_proj|qkv_proj|query_key_value|c_attn|qkv|in_proj)$"
)
"""What models call the layers of keys and values, alone or joined with the queries."""
VALUES = re.compile(r"(?:^|[._])(?:v|value|v_proj|value_proj)$")
"""What models call the layers that give values alone."""
LAST_OF_FEED_FORWARD = re.compile(
    r"(?:^|[._])(?:down_proj|dense_4h_to_h|fc2|fc_out|wo|w2|mlp\.c_proj|mlp\.dense|output\.dense|ffn\.lin2)$"
)
"""What models call the last layer of the feed-forward part."""


def default_targets(model: Any, targets: Targets, task_type: str | None) -> dict[str, Any]:
    """The options that name what gets the adapter.

    Raises:
        UserError: kind model: the model has no such part.
    """
    if targets == "linear":
        whole = model.config.model_type in PASSED_WHOLE
        return {"target_modules": ALL_LINEAR if whole else sorted(short_names(model, text_layers(model, task_type)))}
    if targets == "keys_and_values":
        return _keys_and_values(model, task_type)
    if targets == "values":
        return {"target_modules": _values(model, task_type)}
    if targets == "norms":
        return {"target_modules": sorted(short_names(model, _norms(model)))}
    if targets == "embedding":
        embedding = model.get_input_embeddings()
        return {"target_modules": [next(name for name, module in model.named_modules() if module is embedding)]}
    return {}


def require_layers(model: Any, row: PeftRow, options: Mapping[str, Any]) -> None:
    """Refuse targets that have no weights of the kind that a method works with, of which PEFT says little or nothing.

    Args:
        model: the loaded base model.
        row: of the method.
        options: as written.

    Raises:
        UserError: kind model: names the first of them.
    """
    targets = options.get("target_modules")
    if not targets or targets == ALL_LINEAR or row.targets == "none":
        return
    what, has = KINDS[row.targets]
    left_out = (options.get("exclude_modules"), options.get("modules_to_save"))
    for name, module in model.named_modules():
        if is_named(targets, name) and not has(module) and not any(is_named(left, name) for left in left_out):
            text = f"{targets!r} names {name or 'the model'} of class {type(module).__name__}, which is no {what}"
            raise UserError(f"adapter.target_modules: {text}; name such alone", kind="model")
        if row.targets == "embedding" and is_named(targets, name):
            fault = token_fault(options.get(TOKENS) or (), len(module.weight))
            if fault is not None:
                raise UserError(f"adapter.{TOKENS}: {fault}")


def _is_layer(module: nn.Module) -> bool:
    """Whether a module has inputs and outputs, or rows, that an adapter can go to."""
    sides = any(hasattr(module, side) for side in ("in_features", "infeatures", "nf", "in_channels", "embedding_dim"))
    return sides or is_packed(module)


KINDS: Mapping[Targets, tuple[str, Callable[[nn.Module], bool]]] = {
    **dict.fromkeys(("linear", "keys_and_values", "values"), ("linear layer", _is_layer)),
    "norms": ("layer with weights", lambda module: next(module.parameters(), None) is not None),
    "embedding": ("embedding", lambda module: isinstance(module, nn.Embedding)),
}
"""What gets the adapter -> what its targets are in words, and how one is known."""


def _keys_and_values(model: Any, task_type: str | None) -> dict[str, Any]:
    """As PEFT takes them of a model that it knows, else by what such layers are called."""
    from peft.utils import constants

    kind = model.config.model_type
    known = constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING.get(kind)
    if known is not None:
        forward = constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING[kind]
        return {"target_modules": list(known), "feedforward_modules": list(forward)}
    layers = text_layers(model, task_type)
    last = {name for name in layers if LAST_OF_FEED_FORWARD.search(name)}
    chosen = last | {name for name in layers if KEYS_AND_VALUES.search(name)}
    if not chosen:
        names = _listed(sorted({name.rpartition(".")[2] for name in layers}))
        text = f"which layers of {kind} give keys, values and the feed-forward's output is not known"
        raise UserError(f"{text}; write target_modules and feedforward_modules, of {names}", kind="model")
    shown = {"target_modules": chosen, "feedforward_modules": last}
    return {key: sorted(short_names(model, names)) for key, names in shown.items()}


def _values(model: Any, task_type: str | None) -> list[str]:
    layers = text_layers(model, task_type)
    found = {name for name in layers if VALUES.search(name)}
    if not found:
        names = _listed(sorted({name.rpartition(".")[2] for name in layers}))
        text = f"which layers of {model.config.model_type} give values alone is not known"
        raise UserError(f"{text}; write target_modules, of {names}", kind="model")
    return sorted(short_names(model, found))


def _norms(model: Any) -> set[str]:
    """The norms with a weight that a text passes."""
    named = {
        name
        for name, module in model.named_modules()
        if "norm" in type(module).__name__.lower() and isinstance(getattr(module, "weight", None), nn.Parameter)
    }
    passed = passed_by_text(model, named)
    if not passed:
        raise UserError(f"{type(model).__name__} has no norm with a weight; write target_modules", kind="model")
    return passed


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:MOST_CANDIDATES]) + (", ..." if len(known) > MOST_CANDIDATES else "")
