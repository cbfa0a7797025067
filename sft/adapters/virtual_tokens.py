"""Adapters of virtual tokens: learned states that stand before every prompt and take their share of the context."""

from pathlib import Path
from typing import Any

from sft.adapters.method import adapter_method, option_defaults
from sft.adapters.peft.folder import CONFIG, adapter_config
from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError

KEY = "num_virtual_tokens"
AS_EMBEDDINGS = ("prompt_tuning", "p_tuning")
"""Methods whose virtual tokens run through the model like those of a prompt."""
AS_STATES = ("prefix_tuning", "cartridge")
"""Methods whose virtual tokens are keys and values of every layer, which recomputing activations would drop."""


def virtual_tokens(model: Any) -> int:
    """How many tokens of the context the adapter of a model takes; 0 where it has no virtual tokens.

    Args:
        model: a causal language model, wrapped by PEFT or not.
    """
    config = getattr(model, "active_peft_config", None)
    return config.num_virtual_tokens if config is not None and config.is_prompt_learning else 0


def planned_virtual_tokens(config: ExperimentConfig, folder: Path) -> int:
    """The same of the adapter that a config trains or measures, before it is there.

    Args:
        config: the experiment.
        folder: what local paths are relative to.

    Raises:
        UserError: the trained adapter that is named cannot be read.
    """
    if config.model.adapter is not None:
        adapter = folder / config.model.adapter
        return int(adapter_config(adapter).get(KEY) or 0) if (adapter / CONFIG).is_file() else 0
    if not config.trains:
        return 0
    written = config.adapter_options.get(KEY)
    known = option_defaults(adapter_method(config.adapter_method).options)
    return int(known.get(KEY, 0) if written is None else written)


def context_left(context: int | None, virtual: int) -> int | None:
    """The tokens of a model's context that an adapter leaves to prompts; None where the model has no limit.

    Raises:
        UserError: there are none.
    """
    if context is None:
        return None
    fault = context_fault(context, virtual)
    if fault is not None:
        raise UserError(f"adapter.{KEY}: {fault}")
    return context - virtual


def context_fault(context: int, virtual: int) -> str | None:
    """What is wrong with that many virtual tokens in a context of so many tokens; None where some are left."""
    if virtual < context:
        return None
    text = f"{virtual} virtual tokens leave nothing of the model's context of {context} tokens"
    return f"{text} to prompts and answers; take fewer than {context}"
