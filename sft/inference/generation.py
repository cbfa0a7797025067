"""Texts that a model writes after prompts, batched by length, ending at the stop that was trained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from sft.exceptions import UserError
from sft.inference.batches import length_sorted
from sft.inference.decoding import Decoder, may_halt
from sft.inference.encoder_decoder.decoding import SourceDecoder
from sft.inference.options import is_sampling
from sft.inference.prefix_cache import run_beginning
from sft.inference.stopping import StopRule


@dataclass(frozen=True)
class GenerationSettings:
    """How texts are generated.

    Attributes:
        generation_args: settings of transformers' `GenerationConfig`, with `max_new_tokens`; greedy unless they say
            otherwise. What the model's own generation config says of sampling, penalties and lengths is not used;
            sampling starts from transformers' defaults (temperature 1, the 50 likeliest tokens).
        stop_ids: ids of the trained stop, may be empty.
        stop_text: its text.
        batch_size: prompts per batch.
        seed: sampling draws under it and the batch's number.
        control_ids: of the tokenizer's control tokens; a stop that holds one of them ends there.
        first_batch: number of the first batch.
        opening: ids with which a decoder of its own begins to write; empty for a model that goes on from its prompts.
    """

    generation_args: Mapping[str, Any]
    stop_ids: tuple[int, ...]
    stop_text: str
    batch_size: int
    seed: int
    control_ids: frozenset[int] = frozenset()
    first_batch: int = 0
    opening: tuple[int, ...] = ()


def generate_texts(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    settings: GenerationSettings,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """One text per prompt, in the prompts' order, without its stop, special tokens and outer whitespace.

    Args:
        model: a causal language model, or one with an encoder, wrapped by PEFT or not; it is put in
            eval mode and runs where it is.
        tokenizer: turns ids into text.
        prompts: token ids of the rendered prompts, none empty.
        settings: how to generate.
        progress: called after each batch with the rows done and all rows.

    Raises:
        UserError: transformers refuses a value in `generation_args`.
    """
    model.eval()
    ends = _as_ids(model.generation_config.eos_token_id)
    stop = StopRule.of(tokenizer, settings.stop_ids, settings.stop_text, settings.control_ids, ends)
    config = _generation_config(settings.generation_args, stop.end_ids, _pad_id(tokenizer))
    texts = [""] * len(prompts)
    done = 0
    with torch.inference_mode(), _own_config_hidden(model):
        decoder = _decoder(model, tokenizer, prompts, config, stop, settings)
        for number, rows in enumerate(length_sorted([len(prompt) for prompt in prompts], settings.batch_size)):
            if is_sampling(settings.generation_args):
                torch.manual_seed(_batch_seed(settings.seed, settings.first_batch + number))
            written = decoder.run([prompts[row] for row in rows])
            for row, ids in zip(rows, written, strict=True):
                texts[row] = stop.cut(tokenizer, ids)
            done += len(rows)
            if progress is not None:
                progress(done, len(prompts))
    return texts


def _decoder(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    config: GenerationConfig,
    stop: StopRule,
    settings: GenerationSettings,
) -> Decoder | SourceDecoder:
    """What decodes the batches of these prompts."""
    if settings.opening:
        return SourceDecoder(model, tokenizer, config, settings.opening)
    beginning = run_beginning(model, prompts, settings.generation_args)
    return Decoder(model, tokenizer, config, stop, beginning, may_halt(settings.generation_args))


def _generation_config(args: Mapping[str, Any], end_ids: tuple[int, ...], pad_id: int) -> GenerationConfig:
    ends = sorted({*end_ids, *_as_ids(args.get("eos_token_id"))})
    written = {**args, "eos_token_id": ends or None, "pad_token_id": pad_id}
    try:
        return GenerationConfig(**written)
    except (ValueError, TypeError) as error:
        raise UserError(f"inference.generation_args: {' '.join(str(error).split())}") from error


@contextmanager
def _own_config_hidden(model: Any) -> Iterator[None]:
    """Empties the model's own generation config meanwhile: `generate` fills settings that are not written from it."""
    holders = [model, model.get_base_model()] if hasattr(model, "get_base_model") else [model]
    saved = [(holder, holder.generation_config) for holder in holders]
    for holder in holders:
        holder.generation_config = GenerationConfig()
    try:
        yield
    finally:
        for holder, config in saved:
            holder.generation_config = config


def _as_ids(value: int | Sequence[int] | None) -> list[int]:
    if value is None:
        return []
    return [value] if isinstance(value, int) else list(value)


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills rows: what is filled is masked or cut, so that any does where the tokenizer names none."""
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(token) for token in known if token is not None), 0)


def _batch_seed(seed: int, number: int) -> int:
    """A seed for each batch, so that what one draws depends on no batch before it."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))
