"""Texts written by a decoder of its own for rows that an encoder reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from sft.inference.batches import padded_right
from sft.models.attention.masks import base_of


@dataclass(frozen=True)
class SourceDecoder:
    """How the batches of a row set are decoded.

    Attributes:
        model: an encoder-decoder in eval mode, wrapped by an adapter or not.
        tokenizer: of the model.
        config: of the generation, complete.
        opening: ids that every written text begins with.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    config: GenerationConfig
    opening: Sequence[int]

    def run(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """The ids written for each row; those after the end of an answer have no meaning."""
        batch = padded_right(rows, self.config.pad_token_id, self.model.device)
        config = GenerationConfig(**{**self.config.to_dict(), "decoder_start_token_id": self.opening[0]})
        opening = torch.tensor([list(self.opening)], device=self.model.device).expand(len(rows), -1)
        written: torch.Tensor = base_of(self.model).generate(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            decoder_input_ids=opening,
            generation_config=config,
            tokenizer=self.tokenizer,
        )
        ids: list[list[int]] = written[:, len(self.opening) :].tolist()
        return ids
