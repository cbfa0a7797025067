"""Every method trains an encoder-decoder and is read back as it was, or is refused by name."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from sft.adapters import adapter_registry
from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.saving import load_adapter, save_adapter
from sft.adapters.support import NO_METHOD, refusal
from sft.objectives.seq2seq import OBJECTIVE as SEQ2SEQ
from tests.support.method_checks import EXACT, STORAGES, Cell, check_method, off
from tests.support.tiny_models import IDS, MAKERS, tiny_logits

OPTIONS: dict[str, dict[str, Any]] = {
    "oft": {"oft_block_size": 8},
    "shira": {"r": 4},
    "waveft": {"n_frequency": 500},
}
"""Where the default does not fit a model this small."""
VIRTUAL = ("prompt_tuning", "p_tuning", "prefix_tuning", "cartridge")
ONLY_LLAMA = ("adaption_prompt",)
"""Refused by the type of the model."""
UNTIED = ("trainable_tokens",)
"""Refused where the input embedding is the output head too, as in both models here."""
METHODS = [name for name in adapter_registry if name not in (NO_METHOD, *VIRTUAL, *ONLY_LLAMA, *UNTIED)]
CELLS = [
    Cell("lora", "t5_source"),
    Cell("lora", "t5_source_bf16", autocast=True),
    Cell("lora", "mbart_source"),
    Cell("lora", "marian_source"),
    Cell("dora", "bart_source", {"init_lora_weights": "pissa"}),
    Cell("lora", "t5_source", {"init_lora_weights": "eva"}),
    Cell("lora", "bart_source", {"init_lora_weights": "corda"}),
    Cell("dora", "marian_source", {"init_lora_weights": "lora_ga"}),
    Cell("ssf", "t5_source", {"shift": False}),
    # none of its two units is above 0 for any token of these rows
    Cell("bottleneck", "bart_source", rests=r"\.encoder_attn\.out_proj\.trained_part\.down\."),
    Cell("ia3", "t5_source", rate=5e-2),
    Cell("lora", "t5_source_nf4"),
    Cell("dora", "bart_source_nf4"),
    Cell("ssf", "marian_source_int8"),
    Cell("lora", "mbart_source_int8", {"init_lora_weights": "eva"}),
    *(Cell("adalora", f"bart_source{packed}", rate=0.1) for packed in ("", "_nf4", "_int8")),
    Cell("gralora", "bart_source_nf4"),
    Cell("c3a", "bart_source_nf4", rate=0.3),
    Cell("full", "t5_source"),
    Cell("last_layer", "t5_source"),
    Cell("last_layer", "bart_source"),
]
QUICK = ("lora-t5_source", "last_layer-bart_source")
KINDS = [f"{family}_source{packed}" for packed in ("", "_nf4", "_int8") for family in ("t5", "bart")]
RESTS = {("glora", "bart_source"): r"\.glora_D\."}
"""What multiplies biases gets no gradient where these are 0, as in a new BART."""
QUICK_WALK = (("gralora", "bart_source_nf4"), ("c3a", "bart_source_int8"))


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, id=str(cell), marks=[] if str(cell) in QUICK else pytest.mark.slow) for cell in CELLS],
)
@pytest.mark.filterwarnings("ignore")
def test_a_method_keeps_its_promises_on_an_encoder_decoder(cell: Cell, tmp_path: Path) -> None:
    check_method(cell, tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=[] if (name, kind) in QUICK_WALK else pytest.mark.slow)
        for kind in KINDS
        for name in METHODS
        if refusal(name, OPTIONS.get(name, {}), STORAGES[kind], SEQ2SEQ, "encoder_decoder") is None
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_trained_moves_and_is_saved_with_every_method(name: str, kind: str, tmp_path: Path) -> None:
    """The layers of T5 have no biases, and those of BART have."""
    cell = Cell(name, kind, OPTIONS.get(name, {}))
    model = attach_adapter(MAKERS[kind](), name, cell.given, Path(), 7, cell.rows)
    trained = move(model, RESTS.get((name, kind), "(?!)"))
    expected = tiny_logits(model)
    assert off(tiny_logits(MAKERS[kind]()), expected) > 100 * EXACT
    save_adapter(model, name, tmp_path / "adapter")
    loaded = load_adapter(MAKERS[kind](), tmp_path / "adapter")
    assert off(expected, tiny_logits(loaded)) < EXACT
    found = dict(loaded.named_parameters())
    assert [key for key, weight in trained.items() if not torch.equal(weight, found[key])] == []


@pytest.mark.parametrize(("name", "kind"), QUICK_WALK)
@pytest.mark.filterwarnings("ignore")
def test_what_adds_in_place_trains_on_from_a_folder(name: str, kind: str, tmp_path: Path) -> None:
    given = Cell(name, kind).given
    save_adapter(attach_adapter(MAKERS[kind](), name, given, Path(), 7), name, tmp_path / "adapter")
    move(continue_adapter(MAKERS[kind](), name, given, tmp_path / "adapter"))


@pytest.mark.parametrize("name", VIRTUAL)
def test_virtual_tokens_are_refused(name: str) -> None:
    said = refusal(name, {}, "plain", SEQ2SEQ, "encoder_decoder")
    assert said is not None
    assert said.startswith(f"{name} puts its virtual tokens before a prompt that a decoder reads")
    assert f", {name}" not in said.partition("these work")[2]


def move(model: Any, rests: str = "(?!)") -> dict[str, torch.nn.Parameter]:
    """Three steps on what the decoder should write; gives the trained tensors, of which those that match rest."""
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    before = {name: weight.detach().clone() for name, weight in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=0.05)
    for _ in range(3):
        logits = model(input_ids=IDS, attention_mask=torch.ones_like(IDS), decoder_input_ids=IDS.flip(1)).logits
        cross_entropy(logits.float().flatten(0, 1), IDS.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    still = {name for name, weight in trained.items() if torch.equal(weight.detach(), before[name])}
    assert still == {name for name in trained if re.search(rests, name)}
    return trained
