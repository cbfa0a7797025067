"""The loss of a head: the mean cross-entropy of the right labels, whatever rows share a batch."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sft.initialization.measuring import batches
from sft.prompts.train_row import IGNORED, HeadRow
from sft.training.objectives.head_loss import HeadLoss, SetHeadLoss
from sft.training.row_weights import COLUMN
from tests.support.tiny_models import bert_head, llama_head
from tests.support.tiny_training import tiny_head_rows

ROWS = tiny_head_rows()[:5]
PLAIN = SimpleNamespace(pad_token_id=60, pad_to_multiple_of=None)


def batch_of(model: Any, rows: Any, **more: list[float]) -> dict[str, Any]:
    columns = [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    for name, values in more.items():
        columns = [{**row, name: value} for row, value in zip(columns, values, strict=True)]
    return HeadLoss(model, (), rows).collator(PLAIN)(columns)


def losses_alone(model: Any) -> torch.Tensor:
    found = []
    for row in ROWS:
        ids = torch.tensor([row.input_ids])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        found.append(cross_entropy(logits, torch.tensor(row.labels)))
    return torch.stack(found)


@pytest.mark.parametrize("make", [bert_head, llama_head])
def test_it_is_that_of_the_rows_one_by_one(make: Any) -> None:
    """The tokenizer pads with 60 here, and the model takes 0 for padding."""
    model = make()
    alone = losses_alone(model)
    together = HeadLoss(model, (), ROWS)(model, batch_of(model, ROWS), None)
    assert together.item() == pytest.approx(alone.mean().item(), abs=1e-5)


def test_micro_batches_and_weights_make_the_loss_of_the_step() -> None:
    model = bert_head()
    loss, weights = HeadLoss(model, (), ROWS), [0.5, 2.0, 1.0, 1.0, 3.0]
    parts = [
        loss(model, batch_of(model, ROWS[start:end], **{COLUMN: weights[start:end]}), 5)
        for start, end in ((0, 2), (2, 5))
    ]
    wanted = (losses_alone(model) * torch.tensor(weights)).sum() / 5
    assert sum(parts).item() == pytest.approx(wanted.item(), abs=1e-5)  # type: ignore[union-attr]


def test_the_width_is_a_multiple_where_that_is_asked_for() -> None:
    plain = SimpleNamespace(pad_token_id=60, pad_to_multiple_of=8)
    batch = HeadLoss(bert_head(), (), ROWS).collator(plain)([{"input_ids": (1, 2, 3), "labels": (0,)}])
    assert batch["input_ids"].tolist() == [[1, 2, 3, 0, 0, 0, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("make", [bert_head, llama_head])
def test_initialisers_see_the_loss_of_the_head(make: Any) -> None:
    """Those that decompose gradients run the rows in batches of their own."""
    model = make()
    (batch,) = batches(model, ROWS, len(ROWS))
    assert batch.labels.tolist() == [row.labels[0] for row in ROWS]
    assert batch.loss(model).item() == pytest.approx(losses_alone(model).mean().item(), abs=1e-5)


@pytest.mark.parametrize(("loss", "n_targets"), [(HeadLoss, 1), (SetHeadLoss, 3)])
def test_the_items_are_those_that_the_trainer_counts(loss: Any, n_targets: int) -> None:
    """It counts the labels of all batches of a step that are not ignored."""
    model = bert_head()
    rows = [HeadRow(row.input_ids, tuple((place + n) % 2 for n in range(n_targets))) for place, row in enumerate(ROWS)]
    made = loss(model, (), rows)
    columns = [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    parts = [made.collator(PLAIN)(columns[start:end]) for start, end in ((0, 2), (2, 5))]
    counted = sum((part["labels"] != IGNORED).sum() for part in parts)
    in_parts = sum(made(model, part, counted).item() for part in parts)
    assert in_parts == pytest.approx(made(model, made.collator(PLAIN)(columns), None).item(), abs=1e-5)


def test_of_sets_it_is_the_mean_over_pairs_of_row_and_label() -> None:
    model, targets = bert_head(), [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]]
    rows = [HeadRow(row.input_ids, tuple(own)) for row, own in zip(ROWS, targets, strict=True)]
    logits = torch.cat([model(input_ids=torch.tensor([row.input_ids])).logits for row in rows])
    columns = [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    loss = SetHeadLoss(model, (), rows)
    expected = binary_cross_entropy_with_logits(logits, torch.tensor(targets).float())
    assert loss(model, loss.collator(PLAIN)(columns), None).item() == pytest.approx(expected.item(), abs=1e-5)
