"""Dynamic fine-tuning beside a plain loop over rows and tokens."""

from typing import Any

import pytest
import torch

from sft.prompts.train_row import IGNORED, TrainRow

SGD = {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9, "lr_scheduler_type": "constant", "max_steps": 1}


def by_hand(model: Any, rows: list[TrainRow]) -> torch.Tensor:
    """The mean over trained tokens of -p log p, in which no gradient passes p (arXiv:2508.05629)."""
    terms = []
    for row in rows:
        logprobs = model(torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        for place, label in list(enumerate(row.labels))[1:]:
            if label != IGNORED:
                found = logprobs[place - 1, label]
                terms.append(-float(found.exp()) * found)
    return torch.stack(terms).mean()


@pytest.mark.parametrize(("batch", "accumulated"), [(6, 1), (2, 3)])
def test_loss_and_gradients_are_those_of_a_plain_loop(
    base: Any, adapted: Any, rows: Any, train: Any, batch: int, accumulated: int
) -> None:
    long = TrainRow((1, 2, 3, 4, 5, 6, 7, 61), (IGNORED, IGNORED, 3, 4, 5, 6, 7, 61))
    made = [*rows[:5], long]
    model = adapted(base).eval()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    loss = by_hand(model, made)
    wanted = torch.autograd.grad(loss, list(trained.values()))
    before = [parameter.detach().clone() for parameter in trained.values()]
    batches = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulated}
    record = train(model, made, {**SGD, **batches, "loss_type": "dft"})
    assert record.loss_curve[0].loss == pytest.approx(loss.item(), abs=1e-5)
    for old, parameter, one in zip(before, trained.values(), wanted, strict=True):
        assert torch.allclose(old - parameter, one, atol=1e-5)
