"""The options of PEFT's methods, checked against the installed config classes; nothing heavy is imported."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from sft.adapters.lora.target_checks import check_targets
from sft.adapters.method import TASK_TYPE, OptionFinding, check_options
from sft.adapters.peft.folder import adapter_config
from sft.adapters.peft.row import OF_THE_PROGRAM, PeftRow
from sft.config.library.defaults import dataclass_defaults
from sft.config.library.keys import FieldInfo, dataclass_fields
from sft.config.library.types import checked_type

ALL_LINEAR = "all-linear"
OF_THE_MODEL = "it is the model's own"
REFUSED: Mapping[str, str] = {
    **OF_THE_PROGRAM,
    "token_dim": OF_THE_MODEL,
    "num_attention_heads": OF_THE_MODEL,
    "num_layers": OF_THE_MODEL,
    "num_transformer_submodules": OF_THE_MODEL,
    "save_projection": "frozen random parts are always saved, as other machines may draw others",
}
"""Options that no method takes."""

COUNTS = frozenset(
    {"adapter_layers", "adapter_len", "block_size", "deltaT", "encoder_hidden_size", "encoder_num_layers", "gralora_k"}
    | {"group_size", "init_r", "mini_r", "n_frequency", "num_B", "num_vectors", "num_virtual_tokens", "r", "stride_A"}
    | {"target_r", "topk", "vector_length"}
)
"""Whole numbers from 1, or from 0 where that is the class's default and means something else."""
BLOCK_SIZES = frozenset({"boft_block_num", "boft_block_size", "oft_block_size"})
"""Whole numbers of which 0 leaves the matter to another option."""
VALUES_BY_LAYER: Mapping[str, Any] = {
    **dict.fromkeys(("block_size_pattern", "n_frequency_pattern", "rank_pattern"), Annotated[int, Field(ge=1)]),
    "alpha_pattern": Annotated[float, Field(gt=0)],
    "lambda_pattern": float,
}
"""Options that give single layers, by patterns of their names, a value of this type, where the class says no type."""


@cache
def options_model(config: str, defaults: tuple[tuple[str, Any], ...]) -> type[BaseModel]:
    """The options of a config class as a model: types from its source, ranges from what their names mean.

    Args:
        config: `package.module:Class`.
        defaults: ours over those of the class.

    Raises:
        LookupError: the installed PEFT has no such class.
        PackageMissing: PEFT is not installed.
    """
    known = {**dataclass_defaults(config), **dict(defaults)}
    module, _, name = config.partition(":")
    kept = {key: info for key, info in dataclass_fields(config).items() if key not in (*REFUSED, TASK_TYPE)}
    fields: dict[str, Any] = {key: (_checked(key, info, module), known.get(key)) for key, info in kept.items()}
    settings = ConfigDict(frozen=True, strict=True, protected_namespaces=())
    return create_model(name.replace("Config", "Options"), __config__=settings, **fields)


def check(row: PeftRow, options: Mapping[str, Any], model: type[BaseModel]) -> list[OptionFinding]:
    """Unknown, refused and ill-typed options, and targets that train nothing."""
    refused = {**REFUSED, **row.refused}
    found = [
        OptionFinding(key, f"refused: {refused[key]}")
        for key, value in options.items()
        if key in refused and value is not None
    ]
    taken = {key: value for key, value in options.items() if key not in refused and value is not None}
    wrong = check_options(taken, model)
    found += [
        OptionFinding(key, "is not written, and nothing is trained without it")
        for key in row.needed
        if not taken.get(key)
    ]
    if row.either and not wrong and all(taken.get(key) for key in row.either):
        first, second = row.either
        found.append(
            OptionFinding(first, f"{taken[first]}: excludes {second}, {taken[second]}; leave one of them out")
        )
    return found + (wrong or check_targets(taken))


def disagreements(row: PeftRow, options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
    """The options that are written and say otherwise than a trained adapter, which keeps its own.

    Raises:
        UserError: the folder holds no adapter.
    """
    saved = adapter_config(adapter)
    kind = str(saved.get("peft_type")).lower()
    if kind != row.name:
        return [OptionFinding("", f"{adapter} is a {kind} adapter, not {row.name}")]
    if kind == "p_tuning" or saved.get("prefix_projection"):
        text = f"{adapter} holds what the network of {row.name} gave, not the network, and cannot go on"
        return [OptionFinding("", f"{text}; train it anew")]
    found = []
    for key, value in options.items():
        known, written = (sorted(map(str, it)) if isinstance(it, list) else it for it in (saved.get(key), value))
        if key != TASK_TYPE and written not in (None, ALL_LINEAR, known):
            message = f"{value!r}, but model.adapter has {key} {saved.get(key)!r}; leave it out"
            found.append(OptionFinding(key, message))
    return found


def _checked(key: str, info: FieldInfo, module: str) -> Any:
    kind = checked_type(info.annotation, module)
    if key in VALUES_BY_LAYER and kind == dict | None:
        return dict[str, VALUES_BY_LAYER[key]] | None  # type: ignore[valid-type]
    if key in BLOCK_SIZES:
        return Annotated[kind, Field(ge=0)]
    if key in COUNTS:
        return Annotated[kind, Field(ge=0 if info.default_text == "0" else 1)]
    if key in ("tinit", "tfinal"):
        return Annotated[kind, Field(ge=0)]
    if key in ("beta1", "beta2"):
        return Annotated[kind, Field(gt=0, lt=1)]
    if key.endswith("dropout"):
        return Annotated[kind, Field(ge=0, lt=1)]
    return Annotated[kind, Field(gt=0)] if key.endswith("alpha") else kind
