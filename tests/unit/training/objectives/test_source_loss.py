"""The loss of encoder-decoders, beside that of transformers."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sft.prompts.train_row import IGNORED, SourceRow
from sft.training.objectives.source_loss import SourceLoss
from tests.support.encoder_decoders import tiny_pair

ANSWERS = [(5, 6, 1), (7, 1), (8, 9, 10, 11, 1)]


def rows_of(opening: tuple[int, ...], weights: tuple[float, ...] = (1.0, 1.0, 1.0)) -> list[SourceRow]:
    return [
        SourceRow(tuple(range(5, 7 + number)), answer, weight, opening)
        for number, (answer, weight) in enumerate(zip(ANSWERS, weights, strict=True))
    ]


def batch_of(loss: SourceLoss, rows: list[SourceRow], *, weighed: bool = False) -> Any:
    own = [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    if weighed:
        own = [{**columns, "loss_weight": row.weight} for columns, row in zip(own, rows, strict=True)]
    return loss.collator(SimpleNamespace(pad_token_id=0, pad_to_multiple_of=None))(own)


@pytest.mark.parametrize("family", ["t5", "marian", "bart"])
def test_it_is_that_of_the_model_itself(family: str) -> None:
    model, _ = tiny_pair(family)
    opening = (model.config.decoder_start_token_id,)
    rows = rows_of(opening)
    loss = SourceLoss(model, [], rows)
    batch = batch_of(loss, rows)
    expected = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]).loss
    assert float(loss(model, batch, None).detach()) == pytest.approx(float(expected.detach()), abs=1e-5)
    whole = sum(map(len, ANSWERS))
    halves = [loss(model, batch_of(loss, part), whole) for part in (rows[:1], rows[1:])]
    assert float(sum(halves).detach()) == pytest.approx(float(expected.detach()), abs=1e-5)


def test_what_the_decoder_begins_with_is_no_part_of_it() -> None:
    model, _ = tiny_pair("bart")
    rows = rows_of((1, 3))
    loss = SourceLoss(model, [], rows)
    batch = batch_of(loss, rows)
    assert batch["decoder_input_ids"][1].tolist() == [1, 3, 7, 0, 0, 0]
    assert batch["labels"][1].tolist() == [IGNORED, 7, 1, IGNORED, IGNORED, IGNORED]
    assert (batch["labels"] != IGNORED).sum() == sum(row.n_trained for row in rows)


def test_a_row_weighs_as_it_says() -> None:
    model, _ = tiny_pair("t5")
    rows = rows_of((0,), (2.0, 0.0, 0.0))
    loss = SourceLoss(model, [], rows)
    alone = batch_of(loss, rows[:1])
    with torch.no_grad():
        assert float(loss(model, batch_of(loss, rows, weighed=True), 10)) == pytest.approx(
            2 * float(loss(model, alone, 10)), abs=1e-5
        )
