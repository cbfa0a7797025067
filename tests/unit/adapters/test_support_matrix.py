"""Each promised cell of method and base, held to every promise; what is refused is refused by name."""

from pathlib import Path

import pytest

from sft.adapters.support import refusal
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from tests.support.method_checks import Cell, check_method

VIRTUAL = {"num_virtual_tokens": 4}
CELLS = [
    Cell("lora", "fp32"),
    Cell("lora", "bf16"),
    Cell("lora", "bf16", autocast=True),
    Cell("lora", "gpt2"),
    Cell("lora", "nf4"),
    Cell("lora", "int8"),
    Cell("dora", "fp32"),
    Cell("dora", "bf16"),
    Cell("dora", "bf16", autocast=True),
    Cell("dora", "gpt2"),
    Cell("dora", "nf4"),
    Cell("dora", "int8"),
    Cell("dora", "nf4", {"init_lora_weights": "pissa"}),
    Cell("dora", "int8", {"init_lora_weights": "pissa"}, close=2e-2),
    Cell("dora", "bf16", {"init_lora_weights": "pissa"}, close=2e-2),
    Cell("ssf", "fp32"),
    Cell("ssf", "bf16"),
    Cell("ssf", "bf16", autocast=True),
    Cell("ssf", "gpt2"),
    Cell("ssf", "nf4"),
    Cell("ssf", "int8"),
    Cell("bottleneck", "fp32"),
    Cell("bottleneck", "bf16"),
    Cell("bottleneck", "bf16", autocast=True),
    Cell("bottleneck", "gpt2"),
    Cell("bottleneck", "nf4"),
    Cell("bottleneck", "int8"),
    Cell("ia3", "fp32", rate=5e-2),
    Cell("ia3", "bf16", rate=5e-2, autocast=True),
    Cell("ia3", "nf4", rate=5e-2),
    Cell("ia3", "int8", rate=5e-2),
    Cell("vera", "fp32", rate=5e-2),
    Cell("vera", "bf16", rate=5e-2, autocast=True),
    Cell("vera", "nf4", rate=5e-2),
    Cell("vera", "int8", rate=5e-2),
    Cell("oft", "fp32"),
    Cell("oft", "bf16", autocast=True),
    Cell("oft", "nf4"),
    Cell("oft", "int8"),
    Cell("ln_tuning", "fp32"),
    Cell("ln_tuning", "bf16", autocast=True),
    Cell("ln_tuning", "nf4"),
    Cell("ln_tuning", "int8"),
    Cell("prompt_tuning", "fp32", VIRTUAL, start_shift=None),
    Cell("prompt_tuning", "bf16", VIRTUAL, start_shift=None, autocast=True),
    Cell("prompt_tuning", "nf4", VIRTUAL, start_shift=None),
    Cell("prompt_tuning", "int8", VIRTUAL, start_shift=None),
    Cell("full", "fp32"),
    Cell("full", "bf16"),
    Cell("full", "bf16", autocast=True),
    Cell("full", "gpt2"),
    Cell("last_layer", "fp32"),
    Cell("last_layer", "bf16"),
    Cell("last_layer", "bf16", autocast=True),
    Cell("last_layer", "gpt2"),
    Cell("last_layer", "nf4", {"blocks": 0}),
    Cell("last_layer", "int8", {"blocks": 0}),
    Cell("lora", "gpt2", last_layer=True),
    Cell("lora", "bf16", last_layer=True),
    Cell("lora", "nf4", last_layer=True),
    Cell("lora", "int8", last_layer=True),
    Cell("ssf", "gpt2", last_layer=True),
    Cell("ssf", "bf16", {"shift_norms": "none"}, last_layer=True),
    Cell("ssf", "nf4", last_layer=True),
    Cell("ssf", "int8", last_layer=True),
]
REFUSED: list[Cell] = [
    Cell("full", "nf4"),
    Cell("full", "int8"),
    Cell("last_layer", "nf4"),
    Cell("last_layer", "int8"),
]
"""Cells that `plan` refuses."""
QUICK = ("lora-fp32", "last_layer-bf16-autocast", "ia3-bf16", "ssf-nf4", "prompt_tuning-fp32")
"""One cell of each kind of method and of base; the others are slow."""


def known(cell: Cell) -> Cell:
    if cell.storage != "plain":
        pytest.importorskip("bitsandbytes")
    return cell


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(cell, id=str(cell), marks=[] if str(cell).startswith(QUICK) else pytest.mark.slow)
        for cell in CELLS
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_method_keeps_its_promises_on_a_base(cell: Cell, tmp_path: Path) -> None:
    check_method(known(cell), tmp_path)


@pytest.mark.parametrize("cell", REFUSED, ids=str)
def test_what_does_not_work_is_refused_with_what_does(cell: Cell) -> None:
    text = refusal(known(cell).method, cell.options, cell.storage, CAUSAL_LM)
    assert text is not None
    assert f"on {cell.storage} these work: " in text
