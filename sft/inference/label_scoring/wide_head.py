"""The output layer of a 16-bit model in fp32, for scores that are compared.

In 16 bits a logit of 20 is a multiple of 1/8 (bf16) or 1/64 (fp16): labels tie exactly, and the first of them would be
the answer. The hidden states stay as the model computes them. What comes after the layer (caps, scales) is the model's
own code, and runs in fp32 with it.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from sft.models.attention.masks import base_of
from sft.models.attention.trial import REFUSALS, is_machines
from sft.models.storages import HALF_TYPES, is_half

logger = logging.getLogger(__name__)

WIDENED_NUMBERS = 1 << 26
"""Weights that are held in fp32 at once: 256 MiB."""
TRIAL_TOKENS = 16
ROUNDINGS = 8
"""How many roundings of the largest number the two products may be apart; another product is apart by far more."""


@contextlib.contextmanager
def head_in_full_precision(model: Any, ids: Sequence[int]) -> Iterator[None]:
    """The output layer of a model gives fp32 products of its 16-bit weights, where the model takes them.

    Nothing changes for other weights, for a layer that computes in its own way, and for a model whose code expects
    16 bits after it; a short pass tells which.

    Args:
        model: one that writes, or that has a head with an output for each label, wrapped by PEFT or not.
        ids: of a prompt, for that pass.
    """
    heads = [_Head(layer) for layer in _output_layers(model)] if ids else []
    with contextlib.ExitStack() as hooks:
        for head in heads:
            hooks.callback(head.layer.register_forward_hook(head.widen).remove)
        objection = _objection(model, ids, heads) if heads else None
        if objection is not None:
            logger.warning("the output layer computes in 16 bits: %s", objection)
            hooks.close()
        yield


class _Head:
    """An output layer, and how far its own products were from those in fp32 at the first call."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.apart: float | None = None
        self.allowed = 0.0

    def widen(self, layer: Any, inputs: tuple[Any, ...], output: Any) -> torch.Tensor | None:
        weight = layer.weight
        if not inputs or weight.dtype not in HALF_TYPES or inputs[0].dtype not in HALF_TYPES or weight.is_meta:
            return None
        wide = _product(inputs[0].to(weight.device), weight, layer.bias).to(output.device)
        if self.apart is None:
            self.apart = float((wide - output).abs().max())
            self.allowed = ROUNDINGS * torch.finfo(weight.dtype).eps * float(wide.abs().max())
        return wide


def _product(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """hidden W^T + b in fp32, some rows of W at a time."""
    outputs, inputs = weight.shape
    hidden = hidden.float()
    found = hidden.new_empty((*hidden.shape[:-1], outputs))
    rows = max(1, WIDENED_NUMBERS // inputs)
    for start in range(0, outputs, rows):
        part = slice(start, start + rows)
        found[..., part] = linear(hidden, weight[part].float(), None if bias is None else bias[part].float())
    return found


def _output_layers(model: Any) -> list[nn.Module]:
    """The 16-bit matrices of the outputs; of several that a wrapper holds, the one in force is called.

    Of a model that writes they are those over the vocabulary, else the last of its head, with a row for each label.
    """
    base = base_of(model)
    written = base.get_output_embeddings() if hasattr(base, "get_output_embeddings") else None
    head = [part for name, part in base.named_children() if name != base.base_model_prefix]
    parts: list[Any] = head if written is None else [written]
    found = [layer for part in parts for layer in part.modules() if is_half(layer)]
    if written is None:
        return [layer for layer in found if len(layer.weight) == base.config.num_labels]
    largest = max((layer.weight.numel() for layer in found), default=0)
    return [layer for layer in found if layer.weight.numel() == largest]


def _objection(model: Any, ids: Sequence[int], heads: Sequence[_Head]) -> str | None:
    """Why the model is not run so; None where it can be.

    Raises:
        RuntimeError: the device failed or its memory ran out, which says nothing about the model.
    """
    tried = torch.tensor([list(ids[:TRIAL_TOKENS])], device=model.device)
    base = base_of(model)
    written = {"decoder_input_ids": tried} if base.config.is_encoder_decoder else {}
    kept = {} if base.get_output_embeddings() is None else {"use_cache": False}  # encoders know no such word
    try:
        model(input_ids=tried, attention_mask=torch.ones_like(tried), **kept, **written)
    except REFUSALS as error:
        if is_machines(error):
            raise
        return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    far = [head.apart for head in heads if head.apart is not None and not head.apart <= head.allowed]
    return f"its products are {far[0]:.2g} off" if far else None
