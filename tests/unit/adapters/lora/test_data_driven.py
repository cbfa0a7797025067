"""PEFT's initialisations that look at training rows: the function stays, and the saved adapter is whole."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import save_adapter
from sft.exceptions import UserError
from sft.prompts.train_row import TrainRow

FOLDER = Path()


def token_rows(seed: int, count: int = 12) -> list[TrainRow]:
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(count):
        length = int(torch.randint(8, 20, (1,), generator=generator))
        ids = tuple(torch.randint(0, 99, (length,), generator=generator).tolist())
        rows.append(TrainRow(ids, (-100,) * (length - 3) + ids[-3:]))
    return rows


def attached(base: Any, name: str, rows: list[TrainRow]) -> Any:
    options = {"r": 4, "lora_alpha": 8, "init_lora_weights": name}
    return attach_adapter(base, "lora", options, FOLDER, seed=13, rows=rows)


def first_a(model: Any) -> torch.Tensor:
    return next(value.detach().clone() for name, value in model.named_parameters() if "lora_A" in name)


CASES = [
    ("corda", "fp32"),
    ("corda", "gpt2"),
    ("lora_ga", "fp32"),
    ("lora_ga", "gpt2"),
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_function_stays_and_the_saved_adapter_is_the_trained_model(
    name: str, kind: str, make_model: Any, logits: Any, train_steps: Any, tmp_path: Path
) -> None:
    from peft import PeftModel

    before = logits(make_model(kind))
    model = attached(make_model(kind), name, token_rows(0))
    assert torch.allclose(logits(model), before, atol=1e-4)
    train_steps(model)
    trained = logits(model)
    assert (trained - before).abs().max() > 0.1
    assert save_adapter(model, "lora", tmp_path / "adapter")["exported_rank"] == 8
    loaded = PeftModel.from_pretrained(make_model(kind), str(tmp_path / "adapter"))
    assert torch.allclose(logits(loaded), trained, atol=1e-4)


@pytest.mark.parametrize("name", ["corda", "lora_ga"])
def test_the_rows_decide_the_factors(name: str, make_model: Any) -> None:
    one, again, other = (first_a(attached(make_model("fp32"), name, token_rows(seed))) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert one.shape != other.shape or not torch.allclose(one, other)


@pytest.mark.parametrize("name", ["corda", "lora_ga"])
def test_no_rows_are_told(name: str, make_model: Any) -> None:
    with pytest.raises(UserError, match="looks at training rows, and there are none"):
        attached(make_model("fp32"), name, [])
