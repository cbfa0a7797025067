"""Each initialisation on each kind of base, held to every promise of a method; what is PEFT's is what PEFT makes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.lora.initialization import InitChoice
from sft.adapters.lora.peft_initializers import PEFT_INITIALIZERS
from sft.initialization.initializers import initializer_registry
from sft.initialization.layers import adapter_layers
from sft.initialization.utils import dequantize
from tests.support.method_checks import Cell, check_method, check_start
from tests.support.tiny_models import MAKERS
from tests.support.tiny_training import tiny_rows

KINDS = ("fp32", "bf16", "gpt2", "nf4", "int8")
OF_PEFT = [name for name in PEFT_INITIALIZERS if name != "pissa"]
NAMES = ["eva", *OF_PEFT, "peft:pissa", "pissa_niter_4"]
ROUNDING = {"int8": NAMES, "bf16": [name for name in NAMES if InitChoice.of(name).moves_base]}
"""Where the exported product of rank 2 r rounds otherwise than the adapter with its anchor; int8 rounds inputs."""
CELLS = [
    Cell("lora", kind, {"r": 4, "init_lora_weights": name}, close=2e-2 if name in ROUNDING.get(kind, ()) else None)
    for name in NAMES
    for kind in KINDS
]
QUICK = {("eva", "nf4"), ("lora_ga", "nf4")}
QUICK_STARTS = {("corda", "nf4"), ("mica", "int8"), ("olora", "gpt2"), ("olora", "int8"), ("orthogonal", "nf4")}


def name_of(cell: Cell) -> str:
    return str(cell.options["init_lora_weights"])


def marked(quick: set[tuple[str, str]]) -> list[Any]:
    return [
        pytest.param(cell, id=str(cell), marks=[] if (name_of(cell), cell.kind) in quick else pytest.mark.slow)
        for cell in CELLS
    ]


@pytest.mark.parametrize("cell", marked(QUICK))
@pytest.mark.filterwarnings("ignore")
def test_an_initialisation_keeps_the_promises_of_its_method(cell: Cell, tmp_path: Path) -> None:
    check_method(cell, tmp_path)


@pytest.mark.parametrize("cell", marked(QUICK_STARTS))
@pytest.mark.filterwarnings("ignore")
def test_the_model_begins_as_its_base(cell: Cell) -> None:
    check_start(cell)


def test_orthogonal_factors_are_not_rounded_to_16_bits() -> None:
    check_start(Cell("lora", "bf16", {"r": 4, "init_lora_weights": "orthogonal"}, close=1e-3))


def test_every_name_has_its_cells() -> None:
    assert not set(NAMES) - {"peft:pissa", "pissa_niter_4"} - {*initializer_registry, *PEFT_INITIALIZERS}


def plain_copy(kind: str) -> Any:
    """The tiny model with the weights that those of a kind stand for, as floats."""
    stored, plain = MAKERS[kind](), MAKERS["fp32"]()
    for name, module in stored.named_modules():
        if "_proj" in name.rpartition(".")[2]:
            plain.get_submodule(name).weight.data = dequantize(module)
    return plain


@pytest.mark.parametrize("name", [*OF_PEFT, "peft:pissa"])
def test_on_quantised_weights_the_factors_are_those_of_a_float_copy(name: str) -> None:
    options = {"r": 4, "lora_alpha": 6, "init_lora_weights": name, "rank_pattern": {"q_proj": 2}}
    stored, plain = (
        attach_adapter(base, "lora", options, Path(), 7, tiny_rows()) for base in (MAKERS["nf4"](), plain_copy("nf4"))
    )
    for one, other in zip(adapter_layers(stored), adapter_layers(plain), strict=True):
        assert one.rank == other.rank
        (a, b), (wanted_a, wanted_b) = one.weights(), other.weights()
        if name in ("gaussian", "orthogonal"):  # random numbers, drawn in another order
            assert abs(a.norm() / wanted_a.norm() - 1) < 0.5
            assert (b @ a).abs().max() < 1e-6
            continue
        if name == "mica":
            assert not a.any()
            assert not wanted_a.any()
            assert torch.allclose(b @ b.T, wanted_b @ wanted_b.T, atol=1e-4)
            assert not one.module.lora_B["default"].weight.requires_grad
            assert one.module.lora_A["default"].weight.requires_grad
            continue
        if name == "lora_ga":  # PEFT's randomised SVD gives each direction with any sign
            assert (torch.cosine_similarity(a, wanted_a).abs() > 0.99).all(), one.name
            assert torch.allclose(b.norm(dim=0), wanted_b.norm(dim=0), rtol=0.05)
            continue
        wanted = wanted_b @ wanted_a
        assert (b @ a - wanted).abs().max() < 1e-3 * wanted.abs().max(), one.name


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_quantised_weights_stay_as_they_are_stored(kind: str) -> None:
    before = {name: weight.clone() for name, weight in MAKERS[kind]().named_parameters()}
    options = {"r": 4, "init_lora_weights": "olora"}
    model = attach_adapter(MAKERS[kind](), "lora", options, Path(), 7).get_base_model()
    after = {name.replace(".base_layer", ""): weight for name, weight in model.named_parameters()}
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


def test_settings_that_nothing_reads_there_are_refused(tmp_path: Path) -> None:
    from sft.exceptions import UserError

    options = {"init_lora_weights": "corda", "corda_config": {"cache_file": str(tmp_path / "cache")}}
    with pytest.raises(UserError, match=r"corda_config\.cache_file has no effect on quantised weights"):
        attach_adapter(MAKERS["nf4"](), "lora", options, Path(), 7, tiny_rows())
