"""Adapters of virtual tokens: learned states that stand before every prompt and take their share of the context."""

from typing import Any


def virtual_tokens(model: Any) -> int:
    """How many tokens' room the adapter of a model takes before every prompt; 0 where it has no virtual tokens.

    Args:
        model: a causal language model, wrapped by PEFT or not.
    """
    config = getattr(model, "active_peft_config", None)
    return config.num_virtual_tokens if config is not None and config.is_prompt_learning else 0
