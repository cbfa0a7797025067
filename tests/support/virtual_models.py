"""Tiny models with adapters of virtual tokens, and what they compute, token by token."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "prompt_tuning": ("PromptTuningConfig", {}),
    "p_tuning": ("PromptEncoderConfig", {"encoder_hidden_size": 8}),
    "prefix_tuning": ("PrefixTuningConfig", {}),
    "prefix_projected": ("PrefixTuningConfig", {"prefix_projection": True, "encoder_hidden_size": 8}),
    "cartridge": ("CartridgeConfig", {}),
}


def with_virtual_tokens(base: Any, kind: str, count: int = 5, spread: float = 0.5) -> Any:
    """The model with an adapter of random virtual tokens; they are so large that a wrong one shows."""
    import peft

    class_name, options = KINDS[kind]
    torch.manual_seed(0)
    config = getattr(peft, class_name)(num_virtual_tokens=count, task_type="CAUSAL_LM", **options)
    model = peft.get_peft_model(base, config)
    with torch.no_grad():
        for parameter in model.prompt_encoder.parameters():
            parameter.normal_(std=spread)
    return model.eval()


def truth(model: Any) -> Callable[[Sequence[int]], torch.Tensor]:
    """(tokens, vocabulary) logits after each token of a sequence alone, put together by hand from the base model."""
    base, encoder = model.get_base_model(), model.prompt_encoder["default"]
    count = model.active_peft_config.num_virtual_tokens

    def logits(sequence: Sequence[int]) -> torch.Tensor:
        learned = encoder(torch.arange(count)[None])
        ids = torch.tensor([list(sequence)])
        if model.active_peft_config.peft_type.value not in ("PREFIX_TUNING", "CARTRIDGE"):
            embedded = torch.cat([learned.to(base.dtype), base.get_input_embeddings()(ids)], dim=1)
            found: torch.Tensor = base(inputs_embeds=embedded, use_cache=False).logits[0, count:]
            return found
        return _behind_states(base, learned[0].view(count, -1), ids)

    return logits


def _behind_states(base: Any, learned: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The logits of ids that stand after keys and values, laid out as (tokens, layers, key or value, heads, size)."""
    from transformers import DynamicCache

    config = base.config.get_text_config()
    layers, heads = config.num_hidden_layers, getattr(config, "num_key_value_heads", config.num_attention_heads)
    states = learned.view(len(learned), layers, 2, heads, -1).permute(1, 2, 3, 0, 4)
    cache = DynamicCache()
    for number, (keys, values) in enumerate(states):
        cache.update(keys[None], values[None], number)
    found: torch.Tensor = base(input_ids=ids, past_key_values=cache).logits[0]
    return found
