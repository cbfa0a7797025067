"""Texts of encoder-decoders, beside a loop that takes the most probable token each time."""

from typing import Any

import pytest
import torch

from sft.inference.generation import GenerationSettings, generate_texts
from tests.support.encoder_decoders import FAMILIES, tiny_pair

N_NEW = 6


def greedy(model: Any, row: list[int], opening: tuple[int, ...], end: int) -> list[int]:
    written = list(opening)
    for _ in range(N_NEW):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row]), decoder_input_ids=torch.tensor([written])).logits
        written.append(int(logits[0, -1].argmax()))
        if written[-1] == end:
            break
    return [token for token in written[len(opening) :] if token != end]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_texts_are_those_of_each_row_alone(family: str) -> None:
    model, tokenizer = tiny_pair(family)
    model.generation_config.forced_bos_token_id = 7  # of the checkpoint; nothing of it is used
    end = tokenizer.eos_token_id
    rows = [[5, 6, 7, end], [8, end], [9, 10, 11, 12, 13, 14, end]]
    opening = (0, 6)
    settings = GenerationSettings({"max_new_tokens": N_NEW}, (end,), "", 2, 0, opening=opening)
    texts = generate_texts(model, tokenizer, rows, settings)
    expected = [tokenizer.decode(greedy(model, row, opening, end), skip_special_tokens=True).strip() for row in rows]
    assert texts == expected
    assert len(set(texts)) > 1
