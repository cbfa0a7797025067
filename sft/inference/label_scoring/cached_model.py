"""A causal language model called with explicit masks and positions over what ran before."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache, DynamicLayer

from sft.inference.label_scoring.label_plan import LabelChunk
from sft.inference.label_scoring.masks import MaskRule, base_of
from sft.inference.label_scoring.passes import TreePass

SLICE_TOKENS = 1024
"""Most tokens of one prompt that run together where nothing but the prompt runs."""

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

    def cache(self, lines: int = 1) -> Cache:
        """A cache that holds them for each line, without a copy; a forward pass makes new tensors of what it adds."""
        layers = []
        for keys, values in self.states:
            layer = DynamicLayer()
            layer.lazy_initialization(keys, values)
            layer.keys, layer.values = (state.expand(lines, -1, -1, -1) for state in (keys, values))
            layers.append(layer)
        return Cache(layers=layers) if layers else Cache(layer_class_to_replicate=DynamicLayer)


class CachedModel:
    """Runs prompts and trees of tokens; the model is wrapped by PEFT or not."""

    def __init__(self, model: Any, masks: MaskRule, slice_tokens: int = SLICE_TOKENS) -> None:
        accepted = inspect.signature(type(base_of(model)).forward).parameters
        self._head_takes_places = "logits_to_keep" in accepted
        self._model = model
        self._masks = masks
        self._slice = min(slice_tokens, SLICE_TOKENS)
        self.device: torch.device = model.device

    def extend(self, context: Context, ids: Sequence[int]) -> Context:
        """The context with further tokens behind it."""
        for start in range(0, len(ids), self._slice):
            context = self._extend(context, ids[start : start + self._slice])
        return context

    def run(self, context: Context, tokens: TreePass) -> torch.Tensor:
        """(lines, kept places, vocabulary) logits after the last tokens of each line of a pass.

        Args:
            context: what all tokens of the pass see.
            tokens: the pass.
        """
        depths = torch.from_numpy(tokens.depths)
        places = {"logits_to_keep": tokens.kept} if self._head_takes_places else {}
        logits: torch.Tensor = self._model(
            input_ids=torch.from_numpy(tokens.ids).to(self.device),
            attention_mask=self._masks.of(torch.from_numpy(tokens.visible), depths, context.length, self.device),
            position_ids=(context.length + depths).to(self.device),
            past_key_values=context.cache(len(depths)) if context.length else None,
            use_cache=context.length > 0,
            **places,
        ).logits
        return logits[:, -tokens.kept :]

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


def token_logprobs(logits: torch.Tensor, tokens: TreePass, chunk: LabelChunk) -> NDArray[np.float64]:
    """(ends, scored nodes) log-probabilities of the tokens of a chunk, softmax over the vocabulary in fp32.

    Args:
        logits: as `CachedModel.run` gives them for the pass.
        tokens: the pass.
        chunk: the part of the label set that ran in it.
    """
    normalisers = torch.stack([torch.logsumexp(line.float(), dim=-1) for line in logits])
    lines = torch.from_numpy(tokens.end_lines)[:, None].to(logits.device)
    places = torch.from_numpy(tokens.end_places[:, chunk.sources]).to(logits.device)
    ids = torch.from_numpy(chunk.tokens)[None].to(logits.device)
    found = logits[lines, places, ids].float() - normalisers[lines, places]
    result: NDArray[np.float64] = found.double().cpu().numpy()
    return result
