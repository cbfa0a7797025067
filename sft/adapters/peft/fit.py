"""Whether an adapter and a model fit: PEFT leaves what the file lacks at random, drops the rest, and only warns."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sft.exceptions import UserError

SHAPES = re.compile(r"size mismatch for (\S+): .*?shape torch\.Size\((.*?)\).*?torch\.Size\((.*?)\)", re.DOTALL)
LONGEST_REASON = 300
TARGETS = r"no (?:module|parameter)s? (?:was|were) (?:matched|excluded)"
"""What PEFT warns of targets, as when the adapter was made: its tensors tell whether they are those of the model."""


def require_fit(model: Any, adapter: str, folder: Path) -> None:
    """Refuse an adapter of which the model took only a part, or that gave the model only a part of what it needs.

    What a PEFT model saves is what it needs of a file, whatever its method: factors, magnitudes, biases, wholly
    trained modules, rows of embeddings. Beyond that a file may hold weights of the base, such as grown embeddings.

    Args:
        model: the `PeftModel` that was loaded from `folder`.
        adapter: name of the adapter in it.
        folder: the PEFT folder.

    Raises:
        UserError: names the first tensor that either side lacks.
    """
    from peft.utils.save_and_load import get_peft_model_state_dict

    needed = get_peft_model_state_dict(model, adapter_name=adapter, save_embedding_layers=False)
    found = _as_the_model_names_them(model, adapter, folder)
    absent = sorted(set(needed) - set(found))
    unused = sorted(set(found) - set(needed) - set(model.state_dict()))
    told = [
        f"{side} has no {names[0]}" + (f" (nor {len(names) - 1} more)" if len(names) > 1 else "")
        for side, names in (("the adapter", absent), ("the model", unused))
        if names
    ]
    if told:
        raise UserError(f"model.adapter: {folder} does not fit the model: {', and '.join(told)}", kind="model")


def require_known_options(folder: Path, saved: Mapping[str, Any], config: Any) -> None:
    """Refuse an adapter with an option in force that the installed PEFT does not know and would leave out.

    Args:
        folder: the PEFT folder.
        saved: its `adapter_config.json`.
        config: the same as PEFT read it.

    Raises:
        UserError: names the option.
    """
    from importlib.metadata import version

    known = {"runtime_config", *type(config).__dataclass_fields__}
    for key, value in saved.items():
        if key not in known and value not in (None, False, "", [], {}):
            text = f"{folder} has the option {key}: {value!r}, which PEFT {version('peft')} does not know"
            raise UserError(f"model.adapter: {text}; install the PEFT that wrote it, or train it anew", kind="model")


def require_patterns(model: Any, adapter: str, subject: str, options: Sequence[str]) -> None:
    """Refuse patterns of ranks or scalings that no layer or parameter with an adapter matches.

    PEFT warns of those that match no layer, though it applies them to parameters as well, and writes such itself for
    the joined experts of a layer.

    Args:
        model: a `PeftModel`.
        adapter: name of the adapter in it.
        subject: what the message begins with.
        options: of `rank_pattern` and `alpha_pattern`.

    Raises:
        UserError: names the first such pattern.
    """
    tuner, config = model.base_model, model.peft_config[adapter]
    names = [*getattr(tuner, "targeted_module_names", ()), *getattr(tuner, "targeted_parameter_names", ())]
    for option in options:
        for pattern in getattr(config, option, None) or {}:
            if not any(re.match(rf"(.*\.)?({pattern})$", name) for name in names):
                raise UserError(f"{subject}{option} {pattern!r} matches no layer with an adapter", kind="config")


def told_fault(error: Exception) -> str:
    """What PEFT said of an adapter that it did not load, short."""
    if isinstance(error, KeyError):
        return f"the adapter has no {error.args[0]}"
    shapes = SHAPES.findall(str(error))
    if shapes:
        name, in_file, in_model = shapes[0]
        more = f" (and {len(shapes) - 1} more)" if len(shapes) > 1 else ""
        return f"{name} is of shape {in_file} in the adapter and of {in_model} in the model{more}"
    reason = " ".join(str(error).split())
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."


def _as_the_model_names_them(model: Any, adapter: str, folder: Path) -> Mapping[str, Any]:
    """The tensors of a file under the names that PEFT gives them, which for some architectures are others."""
    from peft.utils.save_and_load import load_peft_weights
    from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers

    config = model.peft_config[adapter]
    mapping = getattr(model.get_base_model(), "_checkpoint_conversion_mapping", None) or None
    tensors = load_peft_weights(str(folder), device="cpu", key_mapping=None if config.is_prompt_learning else mapping)
    converted: Mapping[str, Any] = convert_peft_adapter_state_dict_for_transformers(model, config, tensors, adapter)
    return converted
