"""Batches of prompts decoded by `generate`, over what all prompts share and without the rows that have ended."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase, StoppingCriteriaList

from sft.adapters.virtual_tokens import virtual_tokens
from sft.inference.batches import PaddedBatch, pad_left
from sft.inference.prefix_cache import Beginning
from sft.inference.stopping import StopRule, StopTextReached
from sft.models.attention.masks import base_of

FIRST_STRETCH = 16
"""New tokens after which ended rows first leave their batch; every later stretch doubles what is written."""

_LOOKS_AT_TOKENS_ALONE = frozenset(
    {"do_sample", "num_beams", "max_new_tokens", "eos_token_id", "repetition_penalty", "no_repeat_ngram_size"}
)


@dataclass(frozen=True)
class Decoder:
    """How the batches of a row set are decoded.

    Attributes:
        model: a causal language model in eval mode, wrapped by PEFT or not.
        tokenizer: turns ids into text.
        config: of the generation, complete.
        stop: what ends an answer, beside the end ids of `config`.
        beginning: what all prompts begin with; None where the model makes its own cache.
        in_stretches: whether decoding halts now and then to let ended rows go; see `may_halt`.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    config: GenerationConfig
    stop: StopRule
    beginning: Beginning | None
    in_stretches: bool

    def run(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """The ids written after each prompt; those after the end of an answer have no meaning."""
        if self.beginning is None:
            # PEFT puts its virtual tokens before the padding and counts positions as if there were none.
            parts = [[prompt] for prompt in prompts] if virtual_tokens(self.model) else [prompts]
            batches = [pad_left(part, self.config.pad_token_id, self.model.device) for part in parts]
            return [ids for batch in batches for ids in self._written(batch, None)]
        batch, cache = self.beginning.batch(prompts, self.config.pad_token_id)
        if (self.config.num_beams or 1) > 1:  # each row runs once for every beam
            cache.batch_repeat_interleave(self.config.num_beams)
        return self._in_stretches(batch, cache) if self.in_stretches else self._written(batch, cache)

    def _written(self, batch: PaddedBatch, cache: Any) -> list[list[int]]:
        width = batch.input_ids.shape[1]
        ids: list[list[int]] = self._generate(batch, width, cache, self.config)[:, width:].tolist()
        return ids

    def _in_stretches(self, batch: PaddedBatch, cache: Any) -> list[list[int]]:
        width = batch.input_ids.shape[1]
        written: list[list[int]] = [[] for _ in range(len(batch.input_ids))]
        rows = list(range(len(written)))
        done, stretch = 0, FIRST_STRETCH
        while rows and done < self.config.max_new_tokens:
            config = copy.copy(self.config)
            config.max_new_tokens = min(stretch, self.config.max_new_tokens - done)
            output = self._generate(batch, width, cache, config)
            for row, ids in zip(rows, output[:, width:].tolist(), strict=True):
                written[row] = ids
            going = [place for place, row in enumerate(rows) if not self._has_ended(written[row])]
            if len(going) < len(rows):
                cache.batch_select_indices(torch.tensor(going, dtype=torch.long))  # layers may lie on several GPUs
            rows = [rows[place] for place in going]
            batch = _longer(batch, output, going)
            done = stretch = output.shape[1] - width
        return written

    def _has_ended(self, ids: Sequence[int]) -> bool:
        return not set(ids).isdisjoint(self.config.eos_token_id or ()) or self.stop.is_in(self.tokenizer, ids)

    def _generate(self, batch: PaddedBatch, width: int, cache: Any, config: GenerationConfig) -> torch.Tensor:
        """Prompts and what is written; a cache stands for as many of the batch's first columns as it holds."""
        criteria = [StopTextReached(self.tokenizer, self.stop.text, width)] if self.stop.text else []
        own = {} if cache is None else {"past_key_values": cache}
        # With its virtual tokens in the cache, an adapter of such has nothing more to do.
        model = base_of(self.model) if own and virtual_tokens(self.model) else self.model
        output: torch.Tensor = model.generate(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            generation_config=config,
            stopping_criteria=StoppingCriteriaList(criteria),
            tokenizer=self.tokenizer,
            **own,
        )
        return output


def may_halt(generation_args: Mapping[str, Any]) -> bool:
    """Whether decoding can halt and go on: greedy, by settings that count no steps and know no prompt."""
    is_greedy = not generation_args.get("do_sample") and generation_args.get("num_beams") in (None, 1)
    written = {key for key, value in generation_args.items() if value is not None}
    return is_greedy and written <= _LOOKS_AT_TOKENS_ALONE


def _longer(batch: PaddedBatch, output: torch.Tensor, rows: Sequence[int]) -> PaddedBatch:
    """These rows of the batch with what was written after them."""
    new = output.shape[1] - batch.input_ids.shape[1]
    mask = torch.nn.functional.pad(batch.attention_mask, (0, new), value=1)
    return PaddedBatch(output[list(rows)], mask[list(rows)])
