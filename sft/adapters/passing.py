"""Which layers a text passes, in which order: seen by running a model on a few tokens."""

import inspect
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

PASSED_WHOLE = frozenset({"llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text", "phi3", "gpt2"})
"""Model types in which a text passes every linear layer."""

CHOOSING_CLASSES = re.compile(r"Router|Gating|(?<!Forget)Gate$")
CHOOSING_NAMES = frozenset({"gate", "router", "router_gate", "shared_expert_gate", "wg"})
"""What models call the layer that weighs experts, and the classes it is of, or is in."""

TOKENS = 4


class Call(NamedTuple):
    """One call of a layer."""

    name: str
    shape: tuple[int, ...] | None
    """Of the tensor that it gave, or the first of a tuple; None where it gave something else."""


def layer_calls(model: Any, names: Collection[str]) -> list[Call]:
    """The calls of these modules while a model runs on a few tokens, in the order in which they ended.

    Args:
        model: a loaded base model; its mode and its weights stay as they are.
        names: of its modules.
    """
    was_training = model.training
    with _noted(model.eval(), names) as calls, torch.no_grad():
        model(**few_tokens(model))
    model.train(was_training)
    return calls


def passed_by_text(model: Any, names: Collection[str]) -> set[str]:
    """Those of the layers that a text passes; of layers that differ in a number only, all where one was passed.

    Of many experts a few tokens pass some.
    """
    return alike(names, layer_calls(model, names))


def alike(names: Collection[str], calls: Collection[Call]) -> set[str]:
    """Those of the names that are of these calls, or differ from one in numbers alone."""
    forms = {numberless(call.name) for call in calls}
    return {name for name in names if numberless(name) in forms}


def weighs_experts(layer: nn.Module) -> bool:
    """Whether a layer is of a class that chooses between experts, and may give more than a linear layer gives."""
    return CHOOSING_CLASSES.search(type(layer).__name__) is not None


def chooses_experts(model: nn.Module, name: str) -> bool:
    """Whether a layer weighs experts: by its own name or class, or as part of a module that does."""
    parent, _, leaf = name.rpartition(".")
    layers = (model.get_submodule(name), model.get_submodule(parent))
    return leaf in CHOOSING_NAMES or any(map(weighs_experts, layers))


def few_tokens(model: Any) -> dict[str, Any]:
    """What a model is called with to run on a few tokens."""
    ids = torch.zeros((1, TOKENS), dtype=torch.long, device=model.device)
    known = inspect.signature(model.forward).parameters
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
    if getattr(model.config, "is_encoder_decoder", False):
        given["decoder_input_ids"] = ids
    return {key: value for key, value in given.items() if key in known}


@contextmanager
def _noted(model: nn.Module, names: Collection[str]) -> Iterator[list[Call]]:
    calls: list[Call] = []

    def noting(name: str) -> Any:
        def note(_module: Any, _inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) and output else output
            calls.append(Call(name, tuple(first.shape) if isinstance(first, torch.Tensor) else None))

        return note

    modules = dict(model.named_modules())
    handles = [modules[name].register_forward_hook(noting(name)) for name in names]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def numberless(name: str) -> str:
    """A name of a module or weight in which every number is a star."""
    return re.sub(r"\.\d+(?=\.|$)", ".*", name)
