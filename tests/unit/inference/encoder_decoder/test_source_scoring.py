"""Label scores of encoder-decoders, beside a loop over rows and labels that runs each by itself."""

from typing import Any

import numpy as np
import pytest
import torch

from sft.inference.encoder_decoder.scoring import score_labels
from sft.inference.label_scoring.grouping import PassLimits
from tests.support.encoder_decoders import FAMILIES, tiny_pair

ROWS = [[5, 6, 7, 1], [8, 1], [9, 10, 11, 12, 13, 14, 1], [5, 6, 7, 1], [20, 21, 1]]
LABELS = [([5], [1]), ([6, 7], [1]), ([8, 9, 10], [1])]
OPENING = (0, 3)


def one_by_one(model: Any) -> np.ndarray:
    """(2, rows, labels) sums over the ids of labels and of stops, without batches, padding or states kept."""
    scores = np.zeros((2, len(ROWS), len(LABELS)))
    for place, row in enumerate(ROWS):
        for number, (answer, stop) in enumerate(LABELS):
            written = torch.tensor([[*OPENING, *answer, *stop]])
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([row]), decoder_input_ids=written).logits[0].double()
            for offset, token in enumerate([*answer, *stop]):
                found = logits[len(OPENING) - 1 + offset].log_softmax(-1)[token]
                scores[int(offset >= len(answer)), place, number] += float(found)
    return scores


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("limits", [PassLimits(512), PassLimits(8, 2)])
def test_the_scores_are_those_of_each_row_and_label_alone(family: str, limits: PassLimits) -> None:
    model, _ = tiny_pair(family)
    done: list[tuple[int, int]] = []
    found = score_labels(model, ROWS, OPENING, LABELS, limits, lambda *counts: done.append(counts))
    answers, stops = one_by_one(model)
    assert np.abs(found.answer_logprobs - answers).max() < 1e-4
    assert np.abs(found.stop_logprobs - stops).max() < 1e-4
    assert found.answer_tokens.tolist() == [1, 2, 3]
    assert found.stop_tokens.tolist() == [1, 1, 1]
    assert done[-1] == (len(ROWS), len(ROWS))


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_labels_that_tie_in_16_bits_are_told_apart(family: str) -> None:
    model = tiny_pair(family)[0].to(torch.bfloat16)
    labels = [([token], [1]) for token in range(4, model.config.vocab_size)]
    found = score_labels(model, ROWS[:2], OPENING, labels, PassLimits(512))
    assert all(len(np.unique(row)) == len(labels) for row in found.answer_logprobs)
    wide = model.lm_head.weight.float()
    model.lm_head.forward = lambda hidden: hidden.float() @ wide.T
    expected = score_labels(model, ROWS[:2], OPENING, labels, PassLimits(512))
    assert found.answer_logprobs == pytest.approx(expected.answer_logprobs, abs=1e-5)


def test_the_encoder_runs_once_for_each_row() -> None:
    model, _ = tiny_pair("t5")
    seen: list[int] = []
    model.get_encoder().register_forward_hook(lambda _module, _inputs, output: seen.append(len(output[0])))
    score_labels(model, ROWS, OPENING, LABELS, PassLimits(512, 2))
    assert sum(seen) == len(ROWS)
