"""Which methods train which bases: what a refusal says, and the whole as a table."""

from collections.abc import Mapping
from typing import Any

from sft.adapters import adapter_registry
from sft.adapters.method import adapter_method
from sft.adapters.virtual_tokens import AS_EMBEDDINGS, AS_STATES
from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError
from sft.models.answering.kinds import model_kind
from sft.models.objective import ModelKind, Objective
from sft.models.stored_kinds import PLAIN, READ_AS_PLAIN, kind_of, stored_kind
from sft.registry import unknown_name

NO_METHOD = "none"
_DECOMPOSED_ANEW = "it decomposes the weights anew where it is loaded, and may find another decomposition there"
NOT_TAKEN: Mapping[str, str] = {
    "adamss": _DECOMPOSED_ANEW,
    "cpt": "its loss is its own and needs the kind of each token",
    "frod": _DECOMPOSED_ANEW,
    "lily": "its router takes the mean over all tokens of a batch, so that rows depend on those beside them",
    "multitask_prompt_tuning": "it needs the number of a task with every row; prompt_tuning needs none",
    "poly": "it needs the number of a task with every row",
    "psoft": _DECOMPOSED_ANEW,
    "shadow": "its layers do not fit the attention of language models",
    "xlora": "it mixes several trained adapters",
}
"""Methods of PEFT that are not taken, and why."""
SHOWN_METHODS = 5
"""How many other methods a refusal names."""
COLUMNS = ("plain", "nf4", "fp4", "int8", "torchao", "gptq", "awq", "fp8")
"""The kinds of stored weights that the table shows."""


def refusal(
    method: str, options: Mapping[str, Any], storage: str, objective: Objective, kind: ModelKind | None = None
) -> str | None:
    """Why a method does not train a base, with the nearest combinations that work; None where it does.

    Args:
        method: name of the adapter method.
        options: of that method.
        storage: how the base's weights are stored (`sft.models.stored_kinds`).
        objective: how the model answers.
        kind: of the model; None where it is not known.
    """
    reason = unsupported(method, options, storage, objective, kind)
    if reason is None:
        return None
    bases = [stored for stored in COLUMNS if unsupported(method, options, stored, objective, kind) is None]
    others = [name for name in _trained() if unsupported(name, {}, storage, objective, kind) is None]
    ways = [f"{method} works on {', '.join(bases)}"] if bases else []
    ways += [f"on {storage} these work: {_first(others)}"] if others else []
    says_what = kind_of(storage).untrained is not None or reason.startswith(method)
    return "; ".join([reason if says_what else f"{method} on {storage}: {reason}", *ways])


def unsupported(
    method: str, options: Mapping[str, Any], storage: str, objective: Objective, kind: ModelKind | None = None
) -> str | None:
    """Why the storage trains nothing, or else the method not on it; None where it does.

    Args:
        method: name of the adapter method.
        options: of that method.
        storage: how the base's weights are stored (`sft.models.stored_kinds`).
        objective: how the model answers.
        kind: of the model; None where it is not known.
    """
    untrained = kind_of(storage).untrained
    if untrained is not None:
        return f"nothing can be trained beside weights stored as {storage}: {untrained}"
    refused = adapter_method(method).supports(options, storage, objective)
    if refused is None and objective.has_head and kind == "decoder" and method in AS_EMBEDDINGS:
        # without the ids of a row its padding is not seen, and the head would read the last place of the batch
        return f"{method} puts vectors in place of tokens, and in them a decoder's head does not find where a row ends"
    if refused is None and objective.reads == "source" and method in (*AS_EMBEDDINGS, *AS_STATES):
        return f"{method} puts its virtual tokens before a prompt that a decoder reads, and here an encoder reads it"
    return refused


def require_support(config: ExperimentConfig, model_config: Mapping[str, Any], objective: Objective) -> None:
    """Refuse a base that the adapter method does not train, be it a hub model, whose files no plan looks into.

    Args:
        config: of the experiment.
        model_config: what the model's `config.json` says.
        objective: how the model answers.

    Raises:
        UserError: kind model: with the nearest combinations that work.
    """
    storage = stored_kind(config.model.quantization, model_config)
    kind = model_kind({**model_config, **config.model.model_args})
    refused = refusal(config.adapter_method, config.adapter_options, storage, objective, kind)
    if refused is not None:
        written = config.adapter_section if config.lora is not None else f"{config.adapter_section}.method"
        raise UserError(f"{written}: {refused}", kind="model")


def unexportable(method: str, options: Mapping[str, Any], storage: str) -> str | None:
    """Why a method's adapter and its base cannot become one model; None where they can.

    A base whose stored weights can be read gets plain weights for it, into which the adapter is merged.
    """
    merged_into = PLAIN if storage in READ_AS_PLAIN else storage
    return adapter_method(method).unmergeable(options, merged_into)


def unmergeable(config: ExperimentConfig, model_config: Mapping[str, Any]) -> str | None:
    """Why the adapter of an experiment and its base cannot become one model; None where they can.

    Args:
        config: the experiment.
        model_config: what the base's `config.json` says; empty where it is not known yet.
    """
    storage = stored_kind(config.model.quantization, model_config)
    return unexportable(config.adapter_method, config.adapter_options, storage)


def unknown_method(name: str) -> str:
    """One line that says that there is no method of this name, and why, where that is known."""
    if name in NOT_TAKEN:
        return f"{name!r} is not taken: {NOT_TAKEN[name]}; see `sft methods`"
    return unknown_name("adapter method", name, adapter_registry)


def support_matrix(objective: Objective) -> dict[str, dict[str, str | None]]:
    """Method -> kind of stored weights -> why it does not work with its default options; None where it does."""
    return {name: {kind: unsupported(name, {}, kind, objective) for kind in COLUMNS} for name in _trained()}


def _first(names: list[str]) -> str:
    """The first of them, and where all are."""
    more = len(names) - SHOWN_METHODS
    return ", ".join(names[:SHOWN_METHODS]) + (f" and {more} more (sft methods --matrix)" if more > 0 else "")


def _trained() -> list[str]:
    return [name for name in adapter_registry if name != NO_METHOD]
