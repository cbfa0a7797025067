"""Whether a training may run rows of a batch as one tree: only where each token computes as in a row of its own."""

from typing import Any

from peft import PeftModel
from torch import nn
from trl import SFTConfig

from sft.models.attention.masks import base_of, is_tried, mask_rule, stretched_positions
from sft.models.storages import known_storage
from sft.training.label_places import Trees

BY_TOKEN = frozenset({"LORA", "ADALORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "VERA", "HRA", "LN_TUNING"})
"""Kinds of PEFT's adapters that change what a layer computes of a token, whatever tokens are beside it."""
BY_WEIGHT = frozenset({"plain floats", "bitsandbytes 4-bit"})
"""Ways of storing weights that are made floats before a product, whatever is multiplied."""
_OF_OTHER_TOKENS = ("alora_invocation_tokens", "arrow_config", "monteclora_config", "velora_config")
"""Options of LoRA that draw at random, or look at other tokens of the batch."""
_AT_RANDOM = ("drop", "jitter")
"""Parts of the names of settings that draw at random."""


def trees_of(model: Any, args: SFTConfig, longest: int) -> Trees | None:
    """How a model runs trees in a training, or None where its rows run one by one.

    They do where anything is drawn at random for each token (dropout, noise), as a tree has fewer of them; where the
    rows are packed; where scales are found for all tokens of a batch together (8-bit weights); and with models and
    adapters that no test holds against single rows.

    Args:
        model: with its adapter.
        args: of the trainer.
        longest: tokens of the longest row.
    """
    base = base_of(model)
    rule = mask_rule(model) if is_tried(model) else ""
    if isinstance(rule, str) or stretched_positions(model, longest) is not None:
        return None
    if args.packing or args.eval_packing or args.padding_free or args.neftune_noise_alpha:
        return None
    stored = {storage.name for storage in map(known_storage, base.modules()) if storage is not None}
    if not stored <= BY_WEIGHT or not _goes_by_token(model) or _draws(model):
        return None
    config = base.config.get_text_config(decoder=True)
    return Trees(rule, config.hidden_size, config._attn_implementation == "eager")


def _goes_by_token(model: Any) -> bool:
    if not isinstance(model, PeftModel):
        return True
    adapter = model.active_peft_config
    return adapter.peft_type in BY_TOKEN and not any(getattr(adapter, name, None) for name in _OF_OTHER_TOKENS)


def _draws(model: Any) -> bool:
    """Whether a model or its adapter draws at random while it trains."""
    settings = [base_of(model).config.get_text_config(decoder=True).to_dict()]
    settings += [vars(model.active_peft_config)] if isinstance(model, PeftModel) else []
    named = [value for own in settings for name, value in own.items() if any(part in name for part in _AT_RANDOM)]
    return any(isinstance(value, int | float) and value > 0 for value in named) or any(
        isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0 for module in model.modules()
    )
