"""Every method of PEFT that the registry names keeps every promise on plain weights, and its sums on packed ones.

On weights in bf16 they are trained with the forward passes in bf16, which is the default on a GPU.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters import adapter_registry
from sft.adapters.attach import attach_adapter
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from tests.support.method_checks import Cell, check_method, off
from tests.support.tiny_models import MAKERS, tiny_logits, unpacked

OPTIONS: dict[str, dict[str, Any]] = {
    "trainable_tokens": {"token_indices": [3, 5]},
    "shira": {"r": 4},
    "waveft": {"n_frequency": 500},
}
"""Where the default does not fit a model this small, or where there is none."""
OF_THE_MATRIX = ("ia3", "vera", "oft", "ln_tuning", "prompt_tuning")
"""Held to their promises cell by cell in test_support_matrix.py."""
START = {"vblora": 0.05, "unilora": 0.05}
"""By how much the start may be off where the method's row says that it is."""
RATES = {
    "adalora": 0.1,
    "pvera": 5e-2,
    "c3a": 0.3,
    "beft": 5e-2,
    "unilora": 0.5,
    "adaption_prompt": 0.1,
    "loha": 2e-2,
    "vblora": 5e-2,
    "supertuning": 5e-2,
}
METHODS = [name for name, target in adapter_registry.items() if ".adapters.peft." in target]
FURTHER = [name for name in METHODS if name not in OF_THE_MATRIX]
PACKED = [(name, kind) for name in METHODS for kind in ("nf4", "int8") if kind in adapter_method(name).row.storages]  # type: ignore[attr-defined]


def cell(name: str, kind: str) -> Cell:
    starts = adapter_method(name).row.start is None  # type: ignore[attr-defined]
    shift = 0.0 if starts else START.get(name)
    rate = RATES.get(name, 1e-2)
    return Cell(name, kind, OPTIONS.get(name, {}), shift, rate=rate, autocast=kind == "bf16")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["fp32", "bf16"])
@pytest.mark.parametrize("name", FURTHER)
def test_it_keeps_its_promises(name: str, kind: str, tmp_path: Path) -> None:
    check_method(cell(name, kind), tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "kind"), PACKED)
def test_on_packed_weights_it_computes_what_it_does_on_the_same_weights_unpacked(
    name: str, kind: str, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    model = attach_adapter(MAKERS[kind](), name, {TASK_TYPE: "CAUSAL_LM", **OPTIONS.get(name, {})}, Path(), 7)
    move(model)
    save_adapter(model, name, tmp_path / "adapter")
    trained = tiny_logits(model)
    assert off(trained, tiny_logits(load_adapter(MAKERS[kind](), tmp_path / "adapter"))) < 1e-5
    base, plain = MAKERS[kind](), unpacked(MAKERS[kind](), MAKERS["fp32"])
    rounded = off(tiny_logits(plain), tiny_logits(base))  # in 8 bits the inputs are rounded too
    assert off(tiny_logits(load_adapter(plain, tmp_path / "adapter")), trained) < 3 * rounded + 1e-5
    assert off(tiny_logits(base), trained) > 0.01


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METHODS)
def test_a_token_sees_no_later_one_and_no_other_row(name: str) -> None:
    """Else label scores would depend on what runs together, and training would look at its answers."""
    model = attach_adapter(MAKERS["fp32"](), name, {TASK_TYPE: "CAUSAL_LM", **OPTIONS.get(name, {})}, Path(), 7)
    move(model)
    model.eval()
    ids = torch.arange(2, 22).reshape(2, 10)
    with torch.no_grad():
        together = model(input_ids=ids).logits[0, -10:]
        begun = model(input_ids=ids[:1, :6]).logits[0, -6:]
    assert off(begun, together[:6]) < 1e-5


def move(model: Any) -> None:
    """Three steps, after which every trained tensor is another."""
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    before = {name: weight.detach().clone() for name, weight in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=0.05)
    ids = torch.arange(2, 22).reshape(2, 10)
    for _ in range(3):
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    still = [name for name, weight in trained.items() if torch.equal(weight.detach(), before[name])]
    assert not still
