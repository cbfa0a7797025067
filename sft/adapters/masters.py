"""Trained tensors beside the low-rank factors: fp32 masters that compute in the precision of the base.

A module of a 16-bit model that is trained in full (`modules_to_save`, `bias`) holds its weights in fp32, because in 16
bits small steps round to nothing. It computes with the master rounded to the base's precision, as PEFT rounds a saved
adapter that it loads onto that base: what is trained is what is measured, under autocast and without it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from sft.models.storages import HALF_TYPES

COMPUTED = "sft_computes_in"
"""Attribute of a module with masters: the precision of each of them by name."""


class Head(NamedTuple):
    """The output layer as it computes, for losses that multiply by its weight themselves."""

    weight: torch.Tensor
    bias: torch.Tensor | None


def hold_masters(model: nn.Module) -> None:
    """Make every trained 16-bit tensor of a model fp32; the modules of the base go on computing in 16 bits."""
    trained = [
        (module, name, parameter, parameter.dtype)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.requires_grad and parameter.dtype in HALF_TYPES
    ]
    for module, name, parameter, dtype in trained:  # two modules may hold the same parameter
        parameter.data = parameter.data.float()
        if not _is_pefts(module):
            _compute_in(module, name, dtype)


@contextmanager
def head_as_computed(model: Any) -> Iterator[None]:
    """While it is open, `get_output_embeddings` of a base model gives the weights that its head computes with.

    Where PEFT has wrapped the head, its wrapper has no bias, or the master in place of what is computed with.
    """
    if not _differs(model.get_output_embeddings()):
        yield
        return
    plain = model.get_output_embeddings
    model.get_output_embeddings = lambda: _computed(plain())
    try:
        yield
    finally:
        del model.get_output_embeddings


def _is_pefts(module: nn.Module) -> bool:
    """PEFT's own modules cast what they compute with themselves, but for the prompts within an attention."""
    home = type(module).__module__
    casts = home.startswith("peft.") and not home.startswith("peft.tuners.adaption_prompt.")
    return isinstance(module, nn.ParameterDict) or casts


def _compute_in(module: Any, name: str, dtype: torch.dtype) -> None:
    if COMPUTED in vars(module):
        vars(module)[COMPUTED][name] = dtype
        return
    vars(module)[COMPUTED] = {name: dtype}
    plain = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        with _rounded(module):
            return plain(*args, **kwargs)

    module.forward = forward


@contextmanager
def _rounded(module: Any) -> Iterator[None]:
    dtypes: Mapping[str, torch.dtype] = vars(module)[COMPUTED]
    masters = {name: module._parameters[name] for name in dtypes}
    module._parameters.update({name: master.to(dtypes[name]) for name, master in masters.items()})
    try:
        yield
    finally:
        module._parameters.update(masters)


def _differs(head: Any) -> bool:
    """Whether PEFT's wrapper of the head has no bias, or holds a master in place of what is computed with."""
    from peft.utils.other import TrainableTokensWrapper

    return isinstance(head, TrainableTokensWrapper) or (head is not None and COMPUTED in vars(_in_force(head)))


def _in_force(head: Any) -> Any:
    """The module that computes: of one trained in full, the copy that PEFT made of it."""
    from peft.utils.other import ModulesToSaveWrapper

    return head.modules_to_save[head.active_adapters[0]] if isinstance(head, ModulesToSaveWrapper) else head


def _computed(head: Any) -> Head:
    module = _in_force(head)
    dtypes = vars(module).get(COMPUTED, {})
    weight, bias = module.weight, getattr(module, "bias", None)
    if bias is not None:
        bias = bias.to(dtypes.get("bias", bias.dtype))
    return Head(weight.to(dtypes.get("weight", weight.dtype)), bias)
