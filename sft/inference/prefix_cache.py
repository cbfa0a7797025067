"""What all prompts of a row set begin with, run once: its keys and values serve every batch of generated texts."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sft.inference.batches import pad_left
from sft.inference.label_scoring.cached_model import CachedModel, Context
from sft.inference.label_scoring.grouping import WORTH_SHARING, Prompts, shared_beginning, token_order
from sft.inference.label_scoring.masks import MaskRule, is_tried, mask_rule, stretched_positions
from sft.inference.trial import objection

logger = logging.getLogger(__name__)

_OWN_CACHE = frozenset({"cache_implementation", "cache_config", "max_cache_len", "prefill_chunk_size"})
_OWN_PROMPT = frozenset({"guidance_scale", "token_healing"})


def shared_context(model: Any, prompts: Prompts, generation_args: Mapping[str, Any]) -> Context | None:
    """What the prompts begin with, as it ran, at least one token of each left out; empty where that is little.

    None where each batch must have a cache of the model's own making, because the model or what is written asks for
    it; where much would have been shared, the log says why.

    Args:
        model: a causal language model in eval mode, wrapped by PEFT or not.
        prompts: token ids of the rendered prompts, none empty.
        generation_args: how texts are generated, with `max_new_tokens`.
    """
    if not prompts:
        return None
    length = shared_beginning(prompts, token_order(prompts)) if len(prompts) > 1 else 0
    is_worth_it = length >= WORTH_SHARING
    found = _context(model, prompts, length if is_worth_it else 0, generation_args)
    if isinstance(found, Context):
        return found
    if is_worth_it:
        logger.warning("the %d tokens that all prompts begin with run again with every prompt: %s", length, found)
    return None


def cache_of_rows(context: Context, paddings: Sequence[int]) -> Any:
    """The first `context.length` columns of a batch of whole prompts padded on the left, as a cache.

    A row's padding pushes its beginning to the right, the end of that out of these columns, and it runs again with
    the rest of the row. So the batch looks to the model as if it had run from its first column on: no padding stands
    inside a prompt, and sliding windows see what they would. Rows without padding share one copy.

    Args:
        context: what every prompt begins with.
        paddings: columns of padding before each row.
    """
    if context.length and any(paddings):
        places = torch.arange(context.length) - torch.tensor(paddings)[:, None]
        states = tuple((_rows_of(keys, places), _rows_of(values, places)) for keys, values in context.states)
        context = Context(context.length, states)
    return context.cache(len(paddings))


def _rows_of(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(rows, heads, length, size) the states at the places of each row; padding, at negative ones, is never seen."""
    return states[0][:, places.clamp(min=0).to(states.device)].transpose(0, 1)


def _context(model: Any, prompts: Prompts, length: int, generation_args: Mapping[str, Any]) -> Context | str:
    """The first tokens of the prompts as they ran, or why the model does not go on from them."""
    masks = mask_rule(model)
    if isinstance(masks, str):
        return masks
    longest = max(map(len, prompts)) + int(generation_args["max_new_tokens"])
    refusal = _refusal_of(generation_args) or stretched_positions(model, longest)
    if refusal is not None:
        return refusal

    def extended(rule: MaskRule) -> Context:
        return CachedModel(model, rule).extend(Context(), prompts[0][:length])

    found = None if is_tried(model) else objection(model, masks, lambda rule: _apart(model, extended(rule), prompts))
    return extended(masks) if found is None else f"with a cache of one's own ({found})"


def _refusal_of(generation_args: Mapping[str, Any]) -> str | None:
    for key in sorted(key for key, value in generation_args.items() if value is not None):
        if key in _OWN_CACHE or (key == "use_cache" and generation_args[key] is False):
            return f"generation_args.{key} decides on the cache"
        if key in _OWN_PROMPT:
            return f"generation_args.{key} changes the prompts"
    return None


def _apart(model: Any, context: Context, prompts: Prompts) -> float:
    """How far the shortest and the longest prompt, going on from the context, are from running whole."""
    batch = pad_left([min(prompts, key=len), max(prompts, key=len)], 0, model.device)
    ids, positions, mask = batch.input_ids, batch.position_ids, batch.attention_mask
    whole = model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False)
    rest = model(
        input_ids=ids[:, context.length :],
        position_ids=positions[:, context.length :],
        attention_mask=mask,
        past_key_values=cache_of_rows(context, batch.paddings),
        use_cache=True,
    )
    first, second = (output.logits[:, -1].float().log_softmax(dim=-1) for output in (whole, rest))
    return float((first - second).abs().max())
