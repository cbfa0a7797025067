"""A causal language model called with explicit masks and positions over what ran before."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad
from transformers.cache_utils import Cache, DynamicLayer

from sft.adapters.virtual_tokens import virtual_tokens
from sft.inference.batches import PaddedBatch
from sft.inference.label_scoring.label_plan import LabelChunk
from sft.inference.label_scoring.passes import TreePass
from sft.models.attention.masks import MaskRule, base_of

SLICE_TOKENS = 1024
"""Most tokens of one prompt that run together where nothing but the prompt runs."""

States = tuple[tuple[torch.Tensor, torch.Tensor], ...]


@dataclass(frozen=True)
class Context:
    """What ran already, as the keys and values of each layer; never written to.

    Attributes:
        length: tokens of prompts.
        states: keys and values of each layer, (1, heads, virtual + length, size).
        virtual: virtual tokens of an adapter, which stand before those of prompts.
    """

    length: int = 0
    states: States = ()
    virtual: int = 0

    @property
    def cached(self) -> int:
        """Tokens of both kinds."""
        return self.virtual + self.length

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
        self._adapted = model
        # The wrapper would put its virtual tokens before every pass; here they are part of the context.
        self._model = base_of(model) if virtual_tokens(model) else model
        self._masks = masks
        self._slice = min(slice_tokens, SLICE_TOKENS)
        self.device: torch.device = model.device

    def beginning(self) -> Context:
        """The virtual tokens of the model's adapter, which stand before every prompt; empty where it has none."""
        count = virtual_tokens(self._adapted)
        if not count:
            return Context()
        prompt = self._adapted.get_prompt(batch_size=1)
        if isinstance(prompt, Cache):
            states = _states(prompt)
            return Context(0, tuple((_wide(keys, count), _wide(values, count)) for keys, values in states), count)
        own = self._adapted.word_embeddings(torch.zeros((1, 1), dtype=torch.long, device=self.device))
        return replace(self._extend(Context(), count, inputs_embeds=prompt.to(own)), length=0, virtual=count)

    def extend(self, context: Context, ids: Sequence[int]) -> Context:
        """The context with further tokens behind it."""
        for start in range(0, len(ids), self._slice):
            part = torch.tensor([ids[start : start + self._slice]], device=self.device)
            context = self._extend(context, part.shape[1], input_ids=part)
        return context

    def prefill(self, context: Context, batch: PaddedBatch) -> Context:
        """The rows of a batch behind the same context: states of (rows, heads, cached + columns, size).

        Args:
            context: what every row begins with.
            batch: what follows it in each row, padded on the left.
        """
        ids, mask = batch.input_ids, batch.attention_mask.bool()
        columns = ids.shape[1]
        causal = torch.ones((columns, columns), dtype=torch.bool, device=ids.device).tril()
        itself = torch.eye(columns, dtype=torch.bool, device=ids.device)
        depths = batch.position_ids
        cache = context.cache(len(ids))
        self._model(
            input_ids=ids,
            attention_mask=self._masks.of(causal & mask[:, None] | itself, depths, context.cached, self.device),
            position_ids=context.cached + depths,
            past_key_values=cache,
            use_cache=True,
            **self._last_place,
        )
        return Context(context.length + columns, _states(cache), context.virtual)

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
            attention_mask=self._masks.of(torch.from_numpy(tokens.visible), depths, context.cached, self.device),
            position_ids=(context.cached + depths).to(self.device),
            past_key_values=context.cache(len(depths)) if context.cached else None,
            use_cache=context.cached > 0,
            **places,
        ).logits
        return logits[:, -tokens.kept :]

    def _extend(self, context: Context, count: int, **inputs: torch.Tensor) -> Context:
        cache = context.cache()
        places = torch.arange(context.cached, context.cached + count, device=self.device)[None]
        self._model(**inputs, position_ids=places, past_key_values=cache, use_cache=True, **self._last_place)
        return Context(context.length + count, _states(cache), context.virtual)

    @property
    def _last_place(self) -> dict[str, int]:
        """Has the head look at one place alone, where it takes such a wish."""
        return {"logits_to_keep": 1} if self._head_takes_places else {}


def _wide(states: torch.Tensor, count: int) -> torch.Tensor:
    """States of so many tokens: layers with a window dropped those before it, which no token sees."""
    return pad(states, (0, 0, count - states.shape[2], 0))


def _states(cache: Cache) -> States:
    return tuple((layer.keys, layer.values) for layer in cache.layers)


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
