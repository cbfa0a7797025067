"""The merged model of an adapter: held against the adapter on its base, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import save_adapter
from sft.deployment.exporting import merging
from sft.deployment.exporting.comparison import distance, logits_of
from sft.deployment.exporting.merging import merged_model
from sft.exceptions import UserError

ROWS = [[3, 5, 8, 13, 21, 34], [2, 4]]

Make = Callable[[str], Any]


def beat() -> None:
    """Nobody listens."""


@pytest.fixture
def trained(make_model: Make, train_steps: Callable[..., Any], tmp_path: Path) -> Callable[[str], Path]:
    """The folder of a LoRA adapter that was trained on a base of a kind."""

    def train(kind: str) -> Path:
        model = attach_adapter(make_model(kind), "lora", {"task_type": "CAUSAL_LM"}, tmp_path, 0)
        train_steps(model, rate=0.03)
        save_adapter(model, "lora", tmp_path / "adapter")
        return tmp_path / "adapter"

    return train


@pytest.mark.parametrize(
    "kind", ["fp32", "nf4", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("bf16", "int8"))]
)
def test_the_merged_model_is_the_adapter_on_its_base(
    make_model: Make, trained: Callable[[str], Path], kind: str
) -> None:
    from sft.adapters.saving import load_adapter

    adapter = trained(kind)
    model, measured = merged_model(lambda: _loaded(make_model, kind), adapter, ROWS, beat)
    truth = logits_of(load_adapter(make_model(kind), adapter), ROWS, beat)
    found = measured.distances
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert found.merged <= found.tolerance
    assert (found.quantized is None) == (kind in ("fp32", "bf16"))
    assert distance(truth, measured.logits) < max(found.tolerance, 0.05 if kind == "int8" else 0)
    assert found.base > 10 * distance(truth, measured.logits), "the training must have changed more than is lost"


def _loaded(make_model: Make, kind: str) -> Any:
    """As transformers loads a model of that kind."""
    model = make_model(kind)
    if kind in ("nf4", "int8"):
        model.is_quantized = True
    return model


def test_a_merge_that_loses_something_is_refused_with_what_it_lost(
    make_model: Make, trained: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_merge", lambda model, adapter: make_model("fp32"))
    with pytest.raises(
        UserError, match=r"differs from its adapter on its base by 0\.\d+ of the logits, more than 0\.0001"
    ):
        merged_model(lambda: make_model("fp32"), trained("fp32"), ROWS, beat)


def test_a_merge_that_the_method_refuses_says_what_to_do(
    make_model: Make, trained: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sft.adapters.lora.method import Lora

    def refuse(self: Any, model: Any) -> Any:
        raise UserError("it cannot be merged", kind="model")

    monkeypatch.setattr(Lora, "merge", refuse)
    with pytest.raises(UserError, match=r"it cannot be merged; take the form 'adapter'"):
        merged_model(lambda: make_model("fp32"), trained("fp32"), ROWS, beat)


def test_logits_are_those_behind_the_last_tokens_of_each_row_by_itself(make_model: Make) -> None:
    model, rows = make_model("fp32"), [list(range(2, 40)), [7]]
    found = logits_of(model, rows, beat)
    with torch.no_grad():
        slow = [model(input_ids=torch.tensor([row])).logits[0] for row in rows]
    expected = torch.cat([slow[0][-16:], slow[1]])
    assert torch.allclose(found, expected - expected.mean(dim=1, keepdim=True))


def test_the_distance_is_a_share_of_the_first() -> None:
    one = torch.tensor([[3.0, 4.0]])
    assert distance(one, one) == 0.0
    assert distance(one, torch.zeros(1, 2)) == pytest.approx(1.0)
    assert distance(one, torch.tensor([[3.0, 3.0]])) == pytest.approx((1 / 25) ** 0.5)


def test_the_outputs_of_a_head_are_compared_as_they_are() -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=20
    )
    model = transformers.BertForSequenceClassification(config).eval()
    found = logits_of(model, ROWS, beat)
    with torch.no_grad():
        expected = torch.cat([model(input_ids=torch.tensor([row])).logits for row in ROWS])
    assert found.shape == (2, 20)
    assert torch.allclose(found, expected)
