"""What all prompts of a row set begin with, run once: its keys and values serve every batch of generated texts."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from sft.adapters.virtual_tokens import virtual_tokens
from sft.exceptions import UserError
from sft.inference.batches import PaddedBatch, pad_left, padded
from sft.inference.label_scoring.cached_model import CachedModel, Context
from sft.inference.label_scoring.grouping import WORTH_SHARING, Prompts, shared_beginning, token_order
from sft.models.attention.masks import MaskRule, base_of, is_tried, mask_rule, stretched_positions
from sft.models.attention.trial import objection

logger = logging.getLogger(__name__)

_OWN_CACHE = frozenset({"cache_implementation", "cache_config", "max_cache_len", "prefill_chunk_size"})
_OWN_PROMPT = frozenset({"guidance_scale", "token_healing"})


class BegunBatch(NamedTuple):
    """A batch of prompts of which the first columns have run.

    Attributes:
        rows: the prompts; virtual tokens have columns of their own behind the padding, whose ids nothing looks up.
        cache: the states of as many of the first columns as it holds.
    """

    rows: PaddedBatch
    cache: Any


@dataclass(frozen=True)
class Beginning:
    """What every prompt begins with, as it ran, and the model that goes on from it."""

    model: CachedModel
    context: Context

    def batch(self, prompts: Prompts, pad_id: int) -> BegunBatch:
        """Some of the prompts, padded on the left."""
        batch = pad_left(prompts, pad_id, self.model.device)
        if not self.context.virtual:
            return BegunBatch(batch, cache_of_rows(self.context, batch.paddings))
        rows = [[prompt[0]] * self.context.virtual + list(prompt) for prompt in prompts]
        return BegunBatch(pad_left(rows, pad_id, self.model.device), self._behind_virtual(prompts, batch.paddings))

    def _behind_virtual(self, prompts: Prompts, paddings: Sequence[int]) -> Any:
        """The cache of all but the last token of each prompt.

        `generate` and sliding windows want the padding of a row before its virtual tokens. Those cannot run again
        where a shift pushes them out of the columns that are cached, so the rest of each prompt runs here.
        """
        first = self.context
        rest = padded([prompt[first.length : -1] for prompt in prompts], 0, self.model.device)
        if not rest.input_ids.shape[1]:
            return first.cache(len(prompts))
        run = self.model.prefill(first, rest)
        columns = torch.arange(run.cached)
        places = columns - torch.tensor(paddings)[:, None]
        places = torch.where(places < first.cached, places.clamp(min=0), columns)
        states = tuple((_placed(keys, places), _placed(values, places)) for keys, values in run.states)
        return replace(run, states=states).cache(len(prompts))


def run_beginning(model: Any, prompts: Prompts, generation_args: Mapping[str, Any]) -> Beginning | None:
    """What the prompts begin with, as it ran, at least one token of each left out; no token where that is little.

    None where each batch must have a cache of the model's own making, because the model or what is written asks for
    it; where much would have been shared, the log says why.

    Args:
        model: a causal language model in eval mode, wrapped by PEFT or not.
        prompts: token ids of the rendered prompts, none empty.
        generation_args: how texts are generated, with `max_new_tokens`.

    Raises:
        UserError: `generation_args` want a cache or prompts that leave no place for the adapter's virtual tokens.
    """
    if not prompts:
        return None
    length = shared_beginning(prompts, token_order(prompts)) if len(prompts) > 1 else 0
    is_worth_it = length >= WORTH_SHARING
    found = _beginning(model, prompts, length if is_worth_it else 0, generation_args)
    if isinstance(found, Beginning):
        return found
    if virtual_tokens(model):
        logger.warning("texts are written one at a time, with all of each prompt run: %s", found)
    elif is_worth_it:
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


def _placed(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(rows, heads, length, size) of states of this shape, those of each row in another order."""
    return states.gather(2, places.to(states.device)[:, None, :, None].expand_as(states))


def _beginning(model: Any, prompts: Prompts, length: int, generation_args: Mapping[str, Any]) -> Beginning | str:
    """The first tokens of the prompts as they ran, or why the model does not go on from them."""
    masks, wish = mask_rule(model), _refusal_of(generation_args)
    if wish is not None and virtual_tokens(model):
        raise UserError(f"inference.{wish}, which goes with no adapter of virtual tokens; leave it out")
    if isinstance(masks, str):
        return masks
    longest = max(map(len, prompts)) + int(generation_args["max_new_tokens"])
    refusal = wish or stretched_positions(model, longest + virtual_tokens(model))
    if refusal is not None:
        return refusal

    def run(rule: MaskRule) -> Beginning:
        runner = CachedModel(model, rule)
        return Beginning(runner, runner.extend(runner.beginning(), prompts[0][:length]))

    found = None if is_tried(model) else objection(model, masks, lambda rule: _apart(model, run(rule), prompts))
    return run(masks) if found is None else f"with a cache of one's own ({found})"


def _refusal_of(generation_args: Mapping[str, Any]) -> str | None:
    for key in sorted(key for key, value in generation_args.items() if value is not None):
        if key in _OWN_CACHE or (key == "use_cache" and generation_args[key] is False):
            return f"generation_args.{key} decides on the cache"
        if key in _OWN_PROMPT:
            return f"generation_args.{key} changes the prompts"
    return None


def _apart(model: Any, beginning: Beginning, prompts: Prompts) -> float:
    """How far the shortest and the longest prompt, going on from a beginning, are from running whole."""
    tried = [min(prompts, key=len), max(prompts, key=len)]
    rows, cache = beginning.batch(tried, 0)
    done = cache.get_seq_length()
    rest = base_of(model)(
        input_ids=rows.input_ids[:, done:],
        position_ids=rows.position_ids[:, done:],
        attention_mask=rows.attention_mask,
        past_key_values=cache,
        use_cache=True,
    )
    found = rest.logits[:, -1].float().log_softmax(dim=-1)
    whole = [model(input_ids=torch.tensor([prompt], device=model.device), use_cache=False) for prompt in tried]
    expected = torch.cat([output.logits[:, -1].float().log_softmax(dim=-1) for output in whole])
    return float((found - expected).abs().max())
