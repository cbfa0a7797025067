"""Whether a model takes a mask of one's own, and in which form."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

_STRETCHED = frozenset({"dynamic", "longrope"})
FULL, SLIDING = "full_attention", "sliding_attention"
_TAKES_MASKS = frozenset({"sdpa", "eager"})
TRIED = frozenset({"llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3_text", "phi3", "gpt2"})
"""Model types whose scores the tests hold against whole sequences; others are tried on their shortest prompt."""


@dataclass(frozen=True)
class MaskRule:
    """How the masks of a model are made.

    Attributes:
        dtype: of the mask; what is not seen gets its lowest number (eager attention reads a boolean mask wrongly).
        window: tokens that the sliding layers see, the token itself included; None where all is seen.
        layer_types: kinds of layers, where the model takes a mask for each of them by name.
    """

    dtype: torch.dtype
    window: int | None = None
    layer_types: tuple[str, ...] = ()

    def of(self, visible: torch.Tensor, depths: torch.Tensor, cached: int, device: torch.device) -> Any:
        """The mask of a pass: (lines, 1, tokens, cached + tokens), or one for each kind of layer.

        Args:
            visible: (lines, tokens, tokens) whether the first sees the second.
            depths: (lines, tokens) how many tokens of the pass stand before each on its path.
            cached: tokens that ran before, all of which are seen.
            device: where the mask is wanted.
        """
        # Only what the tokens of the pass see of each other is carried over; the wide mask is made where it is used.
        hidden = ~visible.to(device)
        if self.window is None or int(depths.max()) + cached < self.window:
            return self._additive(hidden, cached)
        full = self._additive(hidden, cached) if self.layer_types else None
        places = depths.to(device)
        sliding = self._additive(hidden | (places[:, :, None] - places[:, None] >= self.window), cached)
        last_far = (cached - self.window + places)[:, None, :, None]
        is_far = torch.arange(cached, device=device) <= last_far
        sliding[..., :cached].masked_fill_(is_far, torch.finfo(self.dtype).min)
        if full is None:
            return sliding
        masks = {FULL: full, SLIDING: sliding}
        return {kind: masks[kind] for kind in self.layer_types}

    def _additive(self, hidden: torch.Tensor, cached: int) -> torch.Tensor:
        """The mask that hides these (lines, tokens, tokens) from each other and nothing that is cached."""
        lines, tokens, _ = hidden.shape
        mask = torch.zeros((lines, 1, tokens, cached + tokens), dtype=self.dtype, device=hidden.device)
        mask[..., cached:].masked_fill_(hidden[:, None], torch.finfo(self.dtype).min)
        return mask


def base_of(model: Any) -> Any:
    """The model itself, without what PEFT wrapped around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def mask_rule(model: Any) -> MaskRule | str:
    """How to mask a model's attention, or in one line why it takes no mask of one's own."""
    adapter = getattr(model, "active_peft_config", None)
    if adapter is not None and adapter.is_prompt_learning and not _has_states(model):
        return f"the virtual tokens of its {adapter.peft_type.value} adapter come in a form of this model's own"
    if getattr(adapter, "alora_invocation_tokens", None):
        return "its adapter looks for its invocation tokens in whole prompts"
    base = base_of(model)
    config = base.config.get_text_config(decoder=True)
    attention = config._attn_implementation
    if attention not in _TAKES_MASKS:
        return f"its attention ({attention}) takes no mask of one's own"
    if "position_ids" not in inspect.signature(type(base).forward).parameters:
        return f"{type(base).__name__} takes no positions"
    kinds = tuple(dict.fromkeys(getattr(config, "layer_types", None) or ()))
    strange = [kind for kind in kinds if kind not in (FULL, SLIDING)]
    if strange:
        return f"its layers of type {strange[0]} have no attention to mask"
    return MaskRule(base.dtype if base.dtype.is_floating_point else torch.float32, _window(config, kinds), kinds)


def stretched_positions(model: Any, longest: int) -> str | None:
    """Why the beginning of a sequence runs differently by itself than in one so long; None where it does not.

    Some models turn positions at other frequencies as soon as a sequence is longer than they were first trained on.
    """
    base = base_of(model)
    config = base.config.get_text_config(decoder=True)
    rope = getattr(config, "rope_parameters", None) or {}
    for kind in (rope, *(part for part in rope.values() if isinstance(part, Mapping))):
        if kind.get("rope_type") not in _STRETCHED:
            continue
        limit = kind.get("original_max_position_embeddings") or getattr(config, "max_position_embeddings", None)
        if limit is not None and longest > limit:
            return f"its positions depend on the length of what runs, beyond {limit} tokens"
    return None


def is_tried(model: Any) -> bool:
    """Whether the tests know the model's type."""
    base = base_of(model)
    return base.config.model_type in TRIED


def _has_states(model: Any) -> bool:
    """Whether an adapter's virtual tokens are embeddings, or keys and values of every layer as a cache has them."""
    from transformers.cache_utils import Cache

    with torch.no_grad():
        prompt = model.get_prompt(batch_size=1)
    if isinstance(prompt, Cache):
        return all(layer.is_initialized for layer in prompt.layers)
    return isinstance(prompt, torch.Tensor)


def _window(config: Any, kinds: tuple[str, ...]) -> int | None:
    if kinds and SLIDING not in kinds:
        return None
    if getattr(config, "use_sliding_window", True) is False:
        return None
    window = getattr(config, "sliding_window", None)
    return window if isinstance(window, int) else None
