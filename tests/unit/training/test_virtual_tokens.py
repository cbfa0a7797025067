"""Training adapters of virtual tokens: the loss of each token, what moves, and what does not go with them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sft.training.argument_checks import check_virtual_tokens
from sft.training.memory import with_less_memory
from tests.support.virtual_models import KINDS, truth, with_virtual_tokens


def loss_by_hand(model: Any, rows: list[Any]) -> float:
    """Mean over all trained tokens, one row at a time, without padding."""
    logits_of, losses = truth(model), []
    with torch.no_grad():
        for row in rows:
            logprobs = logits_of(row.input_ids).log_softmax(-1)
            losses += [-float(logprobs[place - 1, token]) for place, token in enumerate(row.labels) if token >= 0]
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    "kind", ["prompt_tuning", *(pytest.param(kind, marks=pytest.mark.slow) for kind in list(KINDS)[1:])]
)
def test_the_loss_is_that_of_the_rows_behind_their_virtual_tokens(base: Any, rows: Any, train: Callable, kind: str):
    """Batches of unequal rows, padded on the right, in training and in the evaluation before it."""
    model = with_virtual_tokens(base, kind)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
    expected = loss_by_hand(model, rows)
    args = {"max_steps": 3, "per_device_train_batch_size": 12, "logging_steps": 1, "learning_rate": 1e-2}
    record = train(model, rows, args | {"eval_strategy": "steps", "eval_steps": 1, "eval_on_start": True}, rows)
    assert record.loss_curve[0].loss == pytest.approx(expected, rel=1e-4)
    assert record.eval_curve[0].loss == pytest.approx(expected, rel=1e-4)
    assert record.loss_curve[-1].loss < expected
    assert all(not torch.equal(weight, before[name]) for name, weight in model.named_parameters() if name in before)
    assert record.eval_curve[-1].loss == pytest.approx(loss_by_hand(model.eval(), rows), rel=1e-4)


def test_recomputing_activations_changes_nothing(base: Any, rows: Any, train: Callable):
    import copy

    losses = []
    for recomputes in (False, True):
        model = with_virtual_tokens(copy.deepcopy(base), "prompt_tuning")
        args = {"max_steps": 2, "logging_steps": 1, "gradient_checkpointing": recomputes}
        losses.append([point.loss for point in train(model, rows, args).loss_curve])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_weighed_rows(base: Any, rows: Any, train: Callable):
    """Rows of weight 0 have no part in the loss."""
    import dataclasses

    model = with_virtual_tokens(base, "prompt_tuning")
    weighed = [dataclasses.replace(row, weight=2.0 if number % 2 else 0.0) for number, row in enumerate(rows)]
    expected = loss_by_hand(model, rows[1::2])
    args = {"max_steps": 1, "per_device_train_batch_size": 12, "logging_steps": 1}
    assert train(model, weighed, args).loss_curve[0].loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("method", "key", "is_told"),
    [
        ("prompt_tuning", "packing", True),
        ("prefix_tuning", "padding_free", True),
        ("prefix_tuning", "gradient_checkpointing", True),
        ("cartridge", "gradient_checkpointing", True),
        ("prompt_tuning", "gradient_checkpointing", False),
        ("p_tuning", "label_smoothing_factor", True),
        ("prefix_tuning", "label_smoothing_factor", False),
        ("lora", "packing", False),
    ],
)
def test_arguments_that_do_not_go_with_them(method: str, key: str, is_told: bool):
    found = check_virtual_tokens({key: 0.1 if key == "label_smoothing_factor" else True}, method)
    assert [name for name, _ in found] == [key] * is_told
    assert all(method in message and "leave it out" in message for _, message in found)
    assert check_virtual_tokens({key: False}, method) == []


def test_less_memory_without_recomputing_takes_fewer_rows_at_once():
    args = {"per_device_train_batch_size": 8}
    smaller = with_less_memory(args, 1, may_recompute=False)
    assert smaller is not None
    assert smaller["per_device_train_batch_size"] == 4
    assert not smaller.get("gradient_checkpointing")
    assert with_less_memory(args, 4, may_recompute=False) is None
