"""Parts of a base model by how a text passes them, whatever the model calls them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from sft.adapters.passing import few_tokens, layer_calls, numberless
from sft.exceptions import UserError
from sft.models.storages import PLAIN_TYPES, known_storage

PLAIN = "plain floats"


class Part(NamedTuple):
    """A module of a model."""

    name: str
    module: nn.Module


def passed_weights(model: Any) -> list[nn.Parameter]:
    """The weights of a model that a text passes; of experts that differ in a number only, all where one was passed.

    A few tokens are run with gradients, whose graph ends in the weights that took part. All weights of the model are
    left requiring gradients.
    """
    model.requires_grad_(True)
    with torch.enable_grad():
        passed = _leaves(model(**few_tokens(model)).logits.grad_fn)
    named = dict(model.named_parameters())
    forms = {numberless(name) for name, weight in named.items() if weight in passed}
    return [weight for name, weight in named.items() if numberless(name) in forms]


def last_parts(model: Any, blocks: int) -> list[Part]:
    """The last blocks of a model, and every module with weights of its own that is called after the last of them.

    Args:
        model: a base model; it is run on a few tokens.
        blocks: how many blocks, at most as many as it has.

    Raises:
        UserError: kind model: it has no blocks.
    """
    stack = block_stack(model)
    names = {module: name for name, module in model.named_modules()}
    end = names[stack[-1]]
    owners = {
        name
        for module, name in names.items()
        if next(module.parameters(recurse=False), None) is not None and not f"{end}.".startswith(f"{name}.")
    }
    called = [call.name for call in layer_calls(model, {end, *owners})]
    after = called[len(called) - called[::-1].index(end) :]
    chosen = [names[block] for block in stack[len(stack) - blocks :]]
    return [Part(name, model.get_submodule(name)) for name in dict.fromkeys([*chosen, *after])]


def block_stack(model: Any) -> nn.ModuleList:
    """The list of a model's blocks: the one with the most weights that is no part of another.

    Raises:
        UserError: kind model: it has none.
    """
    named = dict(model.get_decoder().named_modules())
    lists = {name: module for name, module in named.items() if isinstance(module, nn.ModuleList) and len(module)}
    outer = [module for name, module in lists.items() if not any(name.startswith(f"{other}.") for other in lists)]
    if not outer:
        text = f"{type(model).__name__} has no list of blocks, of which the last could be trained"
        raise UserError(text, kind="model")
    return max(outer, key=lambda stack: sum(weight.numel() for weight in stack.parameters()))


def weights_of(parts: Iterable[Part]) -> list[nn.Parameter]:
    """The weights of parts, each once."""
    return list(dict.fromkeys(weight for part in parts for weight in part.module.parameters()))


def train_only(model: nn.Module, weights: Collection[nn.Parameter]) -> None:
    """Have these weights of a model require gradients, and no others."""
    model.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)


def require_plain(method: str, parts: Sequence[Part]) -> None:
    """Refuse to train weights that are no plain numbers.

    Args:
        method: name of the method, for the message.
        parts: what it would train.

    Raises:
        UserError: kind model: names the first layer whose weights are stored otherwise.
    """
    for part in parts:
        for name, module in part.module.named_modules(prefix=part.name):
            storage = known_storage(module)
            tensors = module.parameters(recurse=False)
            is_plain = all(tensor.dtype in PLAIN_TYPES and type(tensor) is nn.Parameter for tensor in tensors)
            if not is_plain or (storage is not None and storage.name != PLAIN):
                kind = type(module).__name__ if storage is None else storage.name
                text = f"{method} would train {name}, whose weights are stored as {kind} and are fixed"
                raise UserError(f"{text}; take a method with adapters such as lora", kind="model")


def _leaves(node: Any) -> set[nn.Parameter]:
    """The tensors in which a graph of gradients ends."""
    found, seen, left = set(), set(), [node]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        left += [following for following, _ in node.next_functions]
    return found
