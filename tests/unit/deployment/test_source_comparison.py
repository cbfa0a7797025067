"""Exports of encoder-decoders are compared with what they were made of."""

import pytest
import torch

from sft.deployment.exporting.comparison import POSITIONS, distance, logits_of
from tests.support.encoder_decoders import FAMILIES, tiny_pair


@pytest.mark.parametrize("family", FAMILIES)
def test_a_changed_decoder_is_seen(family: str) -> None:
    model, _ = tiny_pair(family)
    rows = [[5, 6, 7, 1], [8, 9, 10, 11, 1]]
    before = logits_of(model, rows, lambda: None)
    assert before.shape == (sum(map(len, rows)), model.config.vocab_size)
    assert len(logits_of(model, [list(range(5, 25))], lambda: None)) == POSITIONS
    assert distance(before, logits_of(model, rows, lambda: None)) == 0
    with torch.no_grad():
        for parameter in model.get_decoder().parameters():
            parameter.mul_(1.1)
    assert distance(before, logits_of(model, rows, lambda: None)) > 1e-2
