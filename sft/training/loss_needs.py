"""What the trainer takes for granted and some models do not have (a named body, counted experts, PEFT adapters), and
what it would leave changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig

from sft.exceptions import UserError
from sft.models.storages import gradient_stop

FOUND = "_hf_peft_config_loaded"
"""Attribute by which a model of transformers says that adapters are on it."""


def fit_loss(model: PeftModel | PreTrainedModel, args: SFTConfig) -> None:
    """Make a model and the trainer's arguments such that the loss can be taken of them.

    Raises:
        UserError: kind model: it cannot.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    _name_body(base)
    _leave_out_balance(base, args)


@contextmanager
def adapters_found(model: PeftModel | PreTrainedModel) -> Iterator[None]:
    """While it is open, a trainer can be made for a quantised base with any trained parts.

    The trainer looks for PEFT's, and refuses some weights that adapters do learn beside.

    Raises:
        UserError: kind model: no gradient passes weights of this kind, so that nothing beside them can be trained.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    if not getattr(base, "is_quantized", False):
        yield
        return
    stop = gradient_stop(base)
    if stop is not None:
        raise UserError(stop, kind="model")
    if isinstance(model, PeftModel) and base.hf_quantizer.is_trainable:
        yield
        return
    setattr(base, FOUND, True)
    try:
        yield
    finally:
        delattr(base, FOUND)


@contextmanager
def settings_kept(model: PeftModel | PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """The trainer writes a padding token and `use_cache` into the model's settings; they are put back.

    It takes every model for one that generates: others have such settings while it is made.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    generates = getattr(base, "generation_config", None) is not None
    if not generates:
        base.generation_config = GenerationConfig()
    holders = [model.config, model.config.get_text_config(), model.generation_config, tokenizer]
    names = ("pad_token", "pad_token_id", "use_cache")
    kept = [(holder, name, getattr(holder, name)) for holder in holders for name in names if hasattr(holder, name)]
    try:
        yield
    finally:
        for holder, name, value in kept:
            setattr(holder, name, value)
        if not generates:
            del base.generation_config


def _name_body(base: PreTrainedModel) -> None:
    """Make `base_model` the body, which runs apart from the head; Llama4ForCausalLM names one that it has not.

    An encoder-decoder is called as a whole.
    """
    if base.base_model is not base or base.config.is_encoder_decoder:
        return
    parts = [name for name, part in base.named_children() if isinstance(part, PreTrainedModel)]
    if len(parts) != 1:
        text = f"{type(base).__name__} does not say which part of it is the head, and the trainer needs both apart"
        raise UserError(text, kind="model")
    base.base_model_prefix = parts[0]


def _leave_out_balance(base: PreTrainedModel, args: SFTConfig) -> None:
    """No load-balancing loss for a model that does not count its experts, whose own loss has none either (Llama 4)."""
    config = base.config.get_text_config()
    if not hasattr(config, "output_router_logits") or hasattr(config, "num_experts"):
        return
    if hasattr(base, "router_aux_loss_coef") and hasattr(config, "num_local_experts"):
        config.num_experts = config.num_local_experts  # the name that the trainer knows
        return
    if args.router_aux_loss_coef:
        text = (
            f"router_aux_loss_coef {args.router_aux_loss_coef}: {type(base).__name__} has no such loss; leave it out"
        )
        raise UserError(f"training.trainer_args.{text}", kind="model")
    args.router_aux_loss_coef = 0.0
