"""Parts of a base model by how a text passes them, whatever the model calls them."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from sft.exceptions import UserError
from sft.models.storages import PLAIN_TYPES, known_storage

TOKENS = 4
PLAIN = "plain floats"


class Part(NamedTuple):
    """A module of a model."""

    name: str
    module: nn.Module


def passed_weights(model: Any) -> list[nn.Parameter]:
    """The weights of a model that a text passes; of experts that differ in a number only, all where one was passed.

    A few tokens are run with gradients, whose graph ends in the weights that took part.
    """
    with torch.enable_grad():
        model.requires_grad_(True)
        passed = _leaves(_run(model).logits.grad_fn)
    named = dict(model.named_parameters())
    forms = {_form(name) for name, weight in named.items() if weight in passed}
    return [weight for name, weight in named.items() if _form(name) in forms]


def last_parts(model: Any, blocks: int) -> list[Part]:
    """The last blocks of a model, and every module with weights that is called after the last of them.

    Args:
        model: a base model in eval mode; it is run on a few tokens.
        blocks: how many blocks, at most as many as it has.

    Raises:
        UserError: kind model: it has no blocks.
    """
    stack = block_stack(model)
    names = {module: name for name, module in model.named_modules()}
    with _called_after(model, stack[-1]) as called, torch.no_grad():
        _run(model)
    return [Part(names[module], module) for module in (*stack[len(stack) - blocks :], *called)]


def block_stack(model: Any) -> nn.ModuleList:
    """The list of a model's blocks: the one with the most weights that is no part of another.

    Raises:
        UserError: kind model: it has none.
    """
    body = model.get_decoder()
    lists = {
        name: module for name, module in body.named_modules() if isinstance(module, nn.ModuleList) and len(module)
    }
    outer = [module for name, module in lists.items() if not any(name.startswith(f"{other}.") for other in lists)]
    if not outer:
        raise UserError(
            f"{type(model).__name__} has no list of blocks, of which the last could be trained", kind="model"
        )
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


def _run(model: Any) -> Any:
    ids = torch.zeros((1, TOKENS), dtype=torch.long, device=model.device)
    return model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)


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


@contextmanager
def _called_after(model: nn.Module, block: nn.Module) -> Iterator[list[nn.Module]]:
    """The modules with weights of their own that are called once `block` is done, in the order of the calls."""
    called: dict[nn.Module, None] = {}
    is_past = False

    def passed(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        nonlocal is_past
        is_past = True
        called.clear()

    def noting(module: nn.Module, _inputs: Any) -> None:
        if is_past:
            called[module] = None

    owners = [module for module in model.modules() if next(module.parameters(recurse=False), None) is not None]
    handles: list[Any] = [module.register_forward_pre_hook(noting) for module in owners]
    handles.append(block.register_forward_hook(passed))
    found: list[nn.Module] = []
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    found += called


def _form(name: str) -> str:
    """A name without its numbers."""
    return re.sub(r"\.\d+(?=\.|$)", ".*", name)
