"""An output layer that runs at trained tokens alone, and shared beginnings that run once, beside whole rows."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from sft.adapters.attach import attach_adapter
from sft.prompts.train_row import IGNORED, TrainRow
from sft.training import label_places
from sft.training.callbacks import ReachCallback
from sft.training.rank_allocation import penalty
from tests.support.architectures import build_tiny_model

SHARED = tuple(range(5, 17))
"""More tokens than the windows of the tiny models see."""
TOLERANCE = 1e-5
"""Of losses, in nats; of gradients, as a share of the norm of each."""
LLAMA = ("llama", "sdpa")
KINDS = [LLAMA, ("gemma2", "eager"), *((name, "sdpa") for name in ("qwen2", "qwen3", "mistral", "gemma3", "phi3"))]
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("lora", {"r": 4, "init_lora_weights": False}),
    ("lora", {"r": 4, "init_lora_weights": False, "trainable_token_indices": [5, 40]}),
    ("dora", {"r": 4, "init_lora_weights": "orthogonal"}),
    ("full", {}),
    ("last_layer", {}),
    ("ssf", {}),
    ("bottleneck", {}),
    *((name, {}) for name in ("ia3", "loha", "lokr", "oft", "boft", "vera", "hra", "ln_tuning")),
    ("adalora", {"tinit": 1, "tfinal": 1}),
]


def make_rows() -> list[TrainRow]:
    """Five rows with a long beginning in common, two of them with more; one has two answers, and two are equal."""
    ends = [(20, 21, 30, 2), (20, 22, 31, 2), (20, 22, 32, 33, 2), (40, 30, 2), (40, 30, 2)]
    trained = [2, 2, 3, 2, 2]
    rows = [
        TrainRow(SHARED + end, (IGNORED,) * (len(SHARED) + len(end) - count) + end[-count:])
        for end, count in zip(ends, trained, strict=True)
    ]
    labels = list(rows[0].labels)
    labels[3:5] = SHARED[3:5]
    return [TrainRow(rows[0].input_ids, tuple(labels)), *rows[1:]]


def by_hand(model: Any, rows: list[TrainRow]) -> torch.Tensor:
    """The mean cross-entropy of trained tokens, row by row, weighed."""
    total, count = torch.zeros(()), 0
    for row in rows:
        logits = model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0]
        labels = torch.tensor(row.labels)[1:]
        kept = labels != IGNORED
        total = total + row.weight * cross_entropy(logits[:-1][kept], labels[kept], reduction="sum")
        count += int(kept.sum())
    return total / count


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The gradients of the first step by name, before they are applied."""
    kept: dict[str, torch.Tensor] = {}

    def look(_self: Any, _args: Any, _state: Any, _control: Any, model: Any, **_: Any) -> None:
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                kept.setdefault(name, parameter.grad.clone())

    monkeypatch.setattr(ReachCallback, "on_pre_optimizer_step", look)
    return kept


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of the token ids of each tree that ran."""
    shapes: list[tuple[int, ...]] = []
    inputs_of = label_places._tree_inputs

    def noted(*args: Any) -> Any:
        inputs = inputs_of(*args)
        shapes.append(tuple(inputs["input_ids"].shape))
        return inputs

    monkeypatch.setattr(label_places, "_tree_inputs", noted)
    return shapes


def check(model: Any, rows: list[TrainRow], train: Callable[..., Any], gradients: Any, **args: Any) -> None:
    """One step of the trainer has the loss and the gradients of the rows one by one."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    loss = by_hand(model.train(), rows) + penalty(model)
    wanted = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    record = train(model, rows, {"max_steps": 1, "per_device_train_batch_size": 5, "max_grad_norm": 1e9, **args})
    assert record.loss_curve[0].loss == pytest.approx(loss.item(), abs=TOLERANCE)
    for name, own in zip(trained, wanted, strict=True):
        if own is not None:
            assert (gradients[name] - own).norm() <= TOLERANCE * own.norm() + 1e-9, name
    assert any(own is not None and own.norm() > 0 for own in wanted)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_tree_has_the_loss_and_the_gradients_of_whole_rows(kind: Any, train, gradients, ran) -> None:
    model = attach_adapter(build_tiny_model(*kind), "lora", METHODS[0][1], Path(), 1)
    check(model, make_rows(), train, gradients)
    assert ran == [(1, len(SHARED) + 9)], "the last token of a row predicts nothing"


@pytest.mark.slow
@pytest.mark.parametrize(("method", "options"), METHODS, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_with_every_method_that_goes_by_token(method: str, options: Any, train, gradients, ran) -> None:
    model = attach_adapter(build_tiny_model(*LLAMA), method, options, Path(), 1)
    args = {"num_train_epochs": 4, "max_steps": -1} if method == "adalora" else {}
    check(model, make_rows(), train, gradients, **args)
    assert ran


@pytest.mark.parametrize("accumulated", [1, 5])
def test_rows_that_run_one_by_one_have_the_same(accumulated: int, train, gradients, ran, monkeypatch) -> None:
    monkeypatch.setattr("sft.training.checked_trainer.trees_of", lambda *_: None)
    model = attach_adapter(build_tiny_model(*LLAMA), "lora", METHODS[0][1], Path(), 1)
    batches = {"per_device_train_batch_size": 5 // accumulated, "gradient_accumulation_steps": accumulated}
    check(model, make_rows(), train, gradients, **batches)
    assert ran == []


def test_a_tree_weighs_each_row_by_its_own_weight(train, gradients, ran) -> None:
    rows = [TrainRow(row.input_ids, row.labels, 0.5 + number) for number, row in enumerate(make_rows())]
    check(attach_adapter(build_tiny_model(*LLAMA), "lora", METHODS[0][1], Path(), 1), rows, train, gradients)
    assert ran


def test_recomputed_activations_are_those_of_the_tree(train, gradients, ran) -> None:
    model = attach_adapter(build_tiny_model(*LLAMA), "lora", METHODS[0][1], Path(), 1)
    check(model, make_rows(), train, gradients, gradient_checkpointing=True)
    assert ran


def test_dev_rows_have_the_loss_of_whole_rows_and_batches_count_by_their_rows(train, ran) -> None:
    model = attach_adapter(build_tiny_model(*LLAMA), "lora", METHODS[0][1], Path(), 1)
    rows = make_rows()
    with torch.no_grad():
        batches = [float(by_hand(model, rows[:3])), float(by_hand(model, rows[3:]))]
    args = {"eval_on_start": True, "eval_strategy": "steps", "max_steps": 1, "per_device_eval_batch_size": 3}
    record = train(model, rows, args, dev_rows=rows)
    assert record.eval_curve[0].loss == pytest.approx((3 * batches[0] + 2 * batches[1]) / 5, abs=TOLERANCE)
    assert len(ran) > 1


def test_the_output_layer_runs_at_trained_tokens_alone(train, monkeypatch) -> None:
    from trl.trainer import utils

    shapes = []
    apply = utils._ChunkedLogProbFunction.apply
    noted = lambda hidden, *rest: (shapes.append(tuple(hidden.shape)), apply(hidden, *rest))[1]  # noqa: E731
    monkeypatch.setattr(utils._ChunkedLogProbFunction, "apply", noted)
    for method in ("lora", "prompt_tuning"):
        model = attach_adapter(build_tiny_model(*LLAMA), method, {"task_type": "CAUSAL_LM"}, Path(), 1)
        train(model, make_rows(), {"max_steps": 1, "per_device_train_batch_size": 5})
    n_trained = sum(row.n_trained for row in make_rows())
    assert shapes[0] == (n_trained, 32)
    assert shapes[1][0] > n_trained, "the places of prompts behind virtual tokens are left to the library"


@pytest.mark.parametrize("count", [None, 0])
def test_a_batch_without_trained_tokens_has_no_loss(count: int | None) -> None:
    empty = torch.zeros((1, 0), requires_grad=True)
    outputs = SimpleNamespace(log_probs=empty, entropy=empty, is_top1=empty.detach().bool())
    metrics: dict[str, list[Any]] = {"entropy": [], "mean_token_accuracy": []}
    loss = label_places.mean_loss(outputs, "nll", None if count is None else torch.tensor(count), metrics)
    assert loss.item() == 0.0
    assert loss.requires_grad
    assert [[float(value) for value in values] for values in metrics.values()] == [[0.0], [0.0]]
