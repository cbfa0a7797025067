"""A causal language model called with explicit masks and positions over what ran before."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from sft.inference.label_scoring.masks import MaskRule
from sft.inference.label_scoring.passes import TreePass

SLICE_TOKENS = 1024
"""Tokens of one prompt that run together where nothing but the prompt runs."""

States = tuple[tuple[torch.Tensor, torch.Tensor], ...]


@dataclass(frozen=True)
class Context:
    """Tokens that ran already, as the keys and values of each layer; never written to.

    Attributes:
        length: how many.
        states: keys and values of each layer, (1, heads, length, size).
    """

    length: int = 0
    states: States = ()

    def cache(self) -> Cache:
        """A cache that holds them without a copy; a forward pass makes new tensors of what it adds."""
        layers = []
        for keys, values in self.states:
            layer = DynamicLayer()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = keys, values
            layers.append(layer)
        return Cache(layers=layers) if layers else Cache(layer_class_to_replicate=DynamicLayer)


class CachedModel:
    """Runs prompts and trees of tokens; the model is wrapped by PEFT or not."""

    def __init__(self, model: Any, masks: MaskRule) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._head_takes_places = "logits_to_keep" in inspect.signature(type(base).forward).parameters
        self._model = model
        self._masks = masks
        self.device: torch.device = model.device

    def extend(self, context: Context, ids: Sequence[int]) -> Context:
        """The context with further tokens behind it."""
        for start in range(0, len(ids), SLICE_TOKENS):
            context = self._extend(context, ids[start : start + SLICE_TOKENS])
        return context

    def run(self, context: Context, tokens: TreePass) -> torch.Tensor:
        """(kept tokens, vocabulary) logits after the kept tokens of a pass, row by row of `kept`.

        Args:
            context: what all tokens of the pass see.
            tokens: the pass.
        """
        depths = torch.from_numpy(tokens.depths)
        kept = torch.from_numpy(tokens.kept.reshape(-1)).to(self.device)
        visible = torch.from_numpy(tokens.visible)
        places = {"logits_to_keep": kept} if self._head_takes_places else {}
        logits: torch.Tensor = self._model(
            input_ids=torch.from_numpy(tokens.ids)[None].to(self.device),
            attention_mask=self._masks.of(visible, depths, context.length, self.device),
            position_ids=(context.length + depths)[None].to(self.device),
            past_key_values=context.cache() if context.length else None,
            use_cache=context.length > 0,
            **places,
        ).logits[0]
        return logits if self._head_takes_places else logits[kept]

    def _extend(self, context: Context, ids: Sequence[int]) -> Context:
        cache = context.cache()
        length = context.length + len(ids)
        places = {"logits_to_keep": 1} if self._head_takes_places else {}
        self._model(
            input_ids=torch.tensor([list(ids)], device=self.device),
            position_ids=torch.arange(context.length, length, device=self.device)[None],
            past_key_values=cache,
            use_cache=True,
            **places,
        )
        return Context(length, tuple((layer.keys, layer.values) for layer in cache.layers))


def token_logprobs(logits: torch.Tensor, sources: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """(rows, nodes) float64 log-probabilities of tokens, with the softmax over the vocabulary in fp32.

    Args:
        logits: (rows, places, vocabulary).
        sources: (nodes,) the place after which each node's token stands.
        tokens: (nodes,) the token of each node.
    """
    normalisers = torch.stack([torch.logsumexp(row.float(), dim=-1) for row in logits])
    places, ids = torch.from_numpy(sources).to(logits.device), torch.from_numpy(tokens).to(logits.device)
    found = logits[:, places, ids].float() - normalisers[:, places]
    return found.double().cpu().numpy()
