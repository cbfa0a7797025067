"""A causal language model run in two steps: the prompts once, then what may follow them on their cache."""

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import torch

from sft.errors import UserError
from sft.inference.batches import PaddedBatch


@dataclass(frozen=True)
class Prefill:
    """What a batch of prompts leaves behind.

    Attributes:
        last_logits: (rows, vocabulary) logits after the last token of each prompt.
        cache: keys and values of every token; a forward pass writes into it.
        batch: the prompts themselves.
    """

    last_logits: torch.Tensor
    cache: Any
    batch: PaddedBatch

    @property
    def cache_bytes(self) -> int:
        """Memory of the keys and values of all rows."""
        states = (getattr(layer, name, None) for layer in self.cache.layers for name in ("keys", "values"))
        return sum(state.nbytes for state in states if isinstance(state, torch.Tensor))

    def repeated_cache(self, times: int, last_use: bool) -> Any:
        """The cache with each row `times` times in a row; the original is given away at its last use."""
        cache = self.cache if last_use else copy.deepcopy(self.cache)
        if times > 1:
            cache.batch_repeat_interleave(times)
        return cache


class CachedModel:
    """Calls a model, wrapped by PEFT or not, with explicit masks and positions, so that padding has no effect."""

    def __init__(self, model: Any) -> None:
        adapter = getattr(model, "active_peft_config", None)
        if adapter is not None and adapter.is_prompt_learning:
            raise UserError(
                f"labels cannot be scored through a {adapter.peft_type.value} adapter: its virtual tokens take part "
                "in no cache; use an adapter that changes layers, such as lora",
                kind="model",
            )
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._accepted = frozenset(inspect.signature(type(base).forward).parameters)
        self._model = model
        self.device: torch.device = model.device

    def prefill(self, batch: PaddedBatch) -> Prefill:
        """Runs the prompts.

        Raises:
            UserError: the model keeps no cache of keys and values.
        """
        output = self._call(batch.input_ids, batch.attention_mask, batch.position_ids, None, last_only=True)
        cache = getattr(output, "past_key_values", None)
        if cache is None or not hasattr(cache, "batch_repeat_interleave"):
            raise UserError(
                f"labels cannot be scored with {type(self._model).__name__}: it returns no cache of keys and values",
                kind="model",
            )
        return Prefill(output.logits[:, -1], cache, batch)

    def extend(self, cache: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """(rows, new tokens, vocabulary) logits after each new token; writes into `cache`.

        Args:
            cache: one that `Prefill.repeated_cache` returned.
            ids: (rows, new tokens).
            mask: (rows, cached and new tokens), 0 on padding.
            positions: (rows, new tokens) position of each new token in its own unpadded sequence.
        """
        logits: torch.Tensor = self._call(ids, mask, positions, cache, last_only=False).logits
        return logits

    def _call(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any, *, last_only: bool
    ) -> Any:
        optional: dict[str, Any] = {"position_ids": positions}
        if last_only:
            optional["logits_to_keep"] = 1
        known = {name: value for name, value in optional.items() if name in self._accepted}
        return self._model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **known)
