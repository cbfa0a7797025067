"""The losses that gradients are measured of, beside the same rows alone."""

import math
from typing import Any

import pytest
import torch

from sft.initialization.row_batches import batches
from sft.prompts.train_row import HeadRow, SourceRow
from tests.support.encoder_decoders import FAMILIES
from tests.support.tiny_models import MAKERS
from tests.support.tiny_training import tiny_head_rows, tiny_rows, tiny_source_rows


def of_one(model: Any, row: Any) -> tuple[float, int]:
    """The summed loss of one row, by its log-probabilities, and what the mean counts."""
    if isinstance(row, SourceRow):
        fed = torch.tensor([[*row.opening, *row.labels[:-1]]])
        logits = model(input_ids=torch.tensor([row.input_ids]), decoder_input_ids=fed).logits[0]
        logprobs = logits.log_softmax(-1)[len(row.opening) - 1 :]
        return -sum(float(logprobs[place, token]) for place, token in enumerate(row.labels)), len(row.labels)
    logits = model(input_ids=torch.tensor([row.input_ids])).logits[0]
    if isinstance(row, HeadRow) and row.judges_each:
        shares = logits.sigmoid().tolist()
        sums = [-math.log(share if label else 1 - share) for share, label in zip(shares, row.labels, strict=True)]
        return sum(sums), len(sums)
    if isinstance(row, HeadRow):
        return -float(logits.log_softmax(-1)[row.labels[0]]), 1
    logprobs = logits.log_softmax(-1)
    trained = [(place, token) for place, token in enumerate(row.labels) if token >= 0]
    return -sum(float(logprobs[place - 1, token]) for place, token in trained), len(trained)


def one_output(model: Any) -> Any:
    """The model with the first output of its head alone."""
    head = torch.nn.Linear(model.classifier.in_features, 1)
    with torch.no_grad():
        head.weight.copy_(model.classifier.weight[:1])
    model.classifier, model.config.num_labels, model.num_labels = head, 1, 1
    return model


def sets(count: int) -> list[HeadRow]:
    return [
        HeadRow(row.input_ids, tuple(int((number + place) % 3 == 0) for place in range(count)), judges_each=True)
        for number, row in enumerate(tiny_head_rows())
    ]


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        pytest.param(lambda: MAKERS["fp32"](), tiny_rows(), id="decoder"),
        pytest.param(lambda: MAKERS["bert_head"](), tiny_head_rows(), id="encoder"),
        pytest.param(lambda: MAKERS["llama_head"](), tiny_head_rows(), id="decoder with a head"),
        pytest.param(lambda: MAKERS["bert_head"](), sets(3), id="label sets"),
        pytest.param(lambda: one_output(MAKERS["bert_head"]()), sets(1), id="a label set of one label"),
        *(
            pytest.param(lambda family=family: MAKERS[f"{family}_source"](), tiny_source_rows(), id=family)
            for family in FAMILIES
        ),
    ],
)
@torch.no_grad()
def test_the_loss_is_the_mean_over_rows_that_run_alone(model: Any, rows: list[Any]) -> None:
    made = model()
    found = list(batches(made, rows, 8))
    assert [len(batch.asked["input_ids"]) for batch in found] == [8, 4]
    for batch, chosen in zip(found, (rows[:8], rows[8:]), strict=True):
        sums = [of_one(made, row) for row in chosen]
        mean = sum(loss for loss, _ in sums) / sum(count for _, count in sums)
        assert float(batch.loss(made)) == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("written", ["single_label_classification", "multi_label_classification", "regression"])
@torch.no_grad()
def test_what_the_config_of_a_checkpoint_says_of_its_head_does_not_count(written: str) -> None:
    model = MAKERS["bert_head"]()
    for rows in (tiny_head_rows(), sets(3)):
        model.config.problem_type = None
        (plain,) = (batch.loss(model) for batch in batches(model, rows, 12))
        model.config.problem_type = written
        (told,) = (batch.loss(model) for batch in batches(model, rows, 12))
        assert float(told) == float(plain)
