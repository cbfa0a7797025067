"""Whether a model that no test knows gives, with masks and caches of one's own, what it gives for whole sequences.

In half precision rounding alone moves a score by tenths of a nat, as much as many a wrong mask does. So the trial runs
in fp32 whatever the weights are stored in, where a right mask is right to a thousandth and a wrong one shows.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sft.exceptions import machine_kind
from sft.models.attention.masks import MaskRule
from sft.models.storages import HALF_TYPES

TOLERANCE = 1e-3
"""How far scores may be from those of whole sequences in fp32, in nats."""

HALF_TOLERANCE = 0.1
"""The same where a model cannot run in fp32: a right mask that rounding puts beyond it costs time, never a result."""

REFUSALS = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError)
"""What a model may raise when it does not take what it is given."""


def objection(model: Any, rule: MaskRule, apart: Callable[[MaskRule], float]) -> str | None:
    """Why a model is not run with masks and caches of one's own; None where they are right.

    Args:
        model: a causal language model in eval mode, wrapped by PEFT or not.
        rule: how its masks are made.
        apart: runs the model both ways under a rule and gives how far they are apart, in nats.

    Raises:
        RuntimeError: the device failed or its memory ran out, which says nothing about masks.
    """
    if rule.dtype in HALF_TYPES:
        with contextlib.suppress(_NoFullPrecision), in_full_precision(model):
            return _found_in_full_precision(rule, apart)
    try:
        return _told(apart(rule), TOLERANCE if rule.dtype == torch.float32 else HALF_TOLERANCE)
    except REFUSALS as error:
        if is_machines(error):
            raise
        return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def is_machines(error: BaseException) -> bool:
    """Whether the device or its memory failed, after which no model can be said to refuse anything."""
    return machine_kind(error) is not None or type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)


class _NoFullPrecision(Exception):
    """The model does not run in fp32: quantised layers want another type, or memory does not hold a wide one."""


def _found_in_full_precision(rule: MaskRule, apart: Callable[[MaskRule], float]) -> str | None:
    try:
        return _told(apart(replace(rule, dtype=torch.float32)), TOLERANCE)
    except REFUSALS as error:
        if is_machines(error) and machine_kind(error) is None:
            raise
        raise _NoFullPrecision from error


def _told(apart: float, tolerance: float) -> str | None:
    return None if apart <= tolerance else f"its scores are {apart:.2g} nats off"


@contextlib.contextmanager
def in_full_precision(model: nn.Module) -> Iterator[None]:
    """The model computes in fp32: each layer's own tensors are widened while it runs, one layer at a time."""
    handles = []
    for module in model.modules():
        narrow = [own for own in (module._parameters, module._buffers) if any(map(_is_half, own.values()))]
        if narrow or _computes_in_half(module):
            kept = _Widened(module)
            handles += [module.register_forward_pre_hook(kept.widen, prepend=True)]
            handles += [module.register_forward_hook(kept.restore, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Widened:
    """The half-precision tensors of one layer, put aside while it runs."""

    def __init__(self, module: nn.Module) -> None:
        self._aside: list[tuple[dict[str, Any], str, Any]] = []
        self._computes = getattr(module, "compute_dtype", None) if _computes_in_half(module) else None

    def widen(self, module: Any, _inputs: Any) -> None:
        for own in (module._parameters, module._buffers):
            for name, tensor in own.items():
                if _is_half(tensor):
                    self._aside.append((own, name, tensor))
        for own, name, tensor in self._aside:
            wide = tensor.detach().float()
            own[name] = nn.Parameter(wide, requires_grad=False) if isinstance(tensor, nn.Parameter) else wide
        if self._computes is not None:
            module.compute_dtype = torch.float32

    def restore(self, module: Any, _inputs: Any, _output: Any) -> None:
        while self._aside:
            own, name, tensor = self._aside.pop()
            own[name] = tensor
        if self._computes is not None:
            module.compute_dtype = self._computes


def _is_half(tensor: torch.Tensor | None) -> bool:
    return tensor is not None and tensor.dtype in HALF_TYPES and tensor.device.type != "meta"


def _computes_in_half(module: nn.Module) -> bool:
    """Of layers of bitsandbytes: the type in which they multiply."""
    return getattr(module, "compute_dtype", None) in HALF_TYPES
