"""The loss of weighed rows beside a plain loop, and what weights do where three rows of four have one label."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from sft.config.experiment import ExperimentConfig
from sft.prompts.train_row import IGNORED, TrainRow
from sft.training.class_weights import balanced_weights, check_class_weights, weighs_labels

SGD = {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9, "lr_scheduler_type": "constant"}


def weighed_rows(rows):
    """Rows of unequal length and weight."""
    long = TrainRow((1, 2, 3, 4, 5, 6, 7, 61), (IGNORED, IGNORED, 3, 4, 5, 6, 7, 61), 0.25)
    return [TrainRow(row.input_ids, row.labels, 0.5 + number) for number, row in enumerate(rows[:5])] + [long]


def by_hand(model, rows):
    """Row by row without padding: each token's cross-entropy times its row's weight, over the number of tokens."""
    total, count = 0.0, 0
    for row in rows:
        logits = model(torch.tensor([row.input_ids])).logits[0]
        for position in range(1, len(row.input_ids)):
            if row.labels[position] != IGNORED:
                token = torch.tensor(row.labels[position])
                total, count = total + row.weight * cross_entropy(logits[position - 1], token), count + 1
    return total / count


@pytest.mark.parametrize(("batch", "accumulated"), [(6, 1), (2, 3), (1, 6)])
def test_gradients_are_those_of_a_plain_loop(base, adapted, rows, train, batch, accumulated):
    made = weighed_rows(rows)
    model = adapted(base).eval()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    loss = by_hand(model, made)
    wanted = dict(zip(trained, torch.autograd.grad(loss, trained.values()), strict=True))
    before = {name: parameter.detach().clone() for name, parameter in trained.items()}
    batches = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated}
    record = train(model, made, {**SGD, "max_steps": 1, **batches})
    assert record.loss_curve[0].loss == pytest.approx(loss.item(), abs=1e-5)
    for name, parameter in trained.items():
        assert torch.allclose(before[name] - parameter, wanted[name], atol=1e-5), name


def test_dev_rows_are_not_weighed(base, adapted, rows, train):
    made = weighed_rows(rows)
    plain = [TrainRow(row.input_ids, row.labels) for row in made]
    evaluations = {"eval_on_start": True, "eval_strategy": "steps", "max_steps": 1, "learning_rate": 0.0}
    record = train(adapted(base), made, evaluations, dev_rows=plain)
    with torch.no_grad():
        assert record.eval_curve[0].loss == pytest.approx(by_hand(base, plain).item(), abs=1e-5)


def test_weights_make_up_for_one_label_having_three_rows_of_four(base, adapted, train):
    """Nothing in the rows tells the labels apart, so that the least loss says how often each is: 37 of 50, or half."""
    labels = ["often"] * 37 + ["rarely"] * 13
    weights = balanced_weights(labels)
    assert weights == {"often": 50 / (2 * 37), "rarely": 50 / (2 * 13)}
    answers, shares = {"often": 30, "rarely": 31}, {}
    for name, used in (("plain", {"often": 1.0, "rarely": 1.0}), ("balanced", weights)):
        made = [TrainRow((1, 2, answers[label]), (IGNORED, IGNORED, answers[label]), used[label]) for label in labels]
        model = adapted(base)
        train(model, made, {"max_steps": 60, "per_device_train_batch_size": 50, "learning_rate": 0.02})
        with torch.no_grad():
            logits = model(torch.tensor([[1, 2]])).logits[0, -1]
        shares[name] = logits.softmax(-1)[answers["often"]].item()
        model.unload()
    assert shares["plain"] == pytest.approx(0.74, abs=0.03)
    assert shares["balanced"] == pytest.approx(0.5, abs=0.03)


def config(**dataset):
    raw = {
        "dataset": {"path": "x", "task_type": "classification", "shots": "all"} | dataset,
        "model": {"name": "m"},
        "prompting": {"input_columns": ["x"], "output_column": "y"},
        "training": {"class_weights": "balanced"},
        "lora": {},
    }
    return ExperimentConfig.model_validate(raw)


def test_weights_are_in_force_where_labels_may_have_unequal_rows():
    assert weighs_labels(config())
    assert weighs_labels(config(shots=20, shots_by="total"))
    assert weighs_labels(config(shots=20, if_fewer="use_all"))
    for even in (config(shots=20), config(shots=0), config(task_type="generation")):
        assert not weighs_labels(even)


def test_a_label_without_rows_has_no_part():
    assert balanced_weights(["b", "a", "a", "a"]) == {"a": 4 / 6, "b": 2.0}
    assert balanced_weights(["a"]) == {"a": 1.0}


def test_arguments_that_rows_cannot_be_weighed_with():
    told = dict(check_class_weights({"packing": True, "label_smoothing_factor": 0.1}))
    assert sorted(told) == ["label_smoothing_factor", "packing"]
    assert "leave it out, or write training.class_weights: none" in told["packing"]
    assert check_class_weights({"packing": False, "padding_free": False}) == []
