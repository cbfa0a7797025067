"""Every method trains a head and keeps it with the adapter, or is refused by name."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from sft.adapters import adapter_registry
from sft.adapters.attach import attach_adapter
from sft.adapters.method import adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from sft.adapters.support import NO_METHOD, refusal
from sft.models.answering.heads import head_names
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.objectives.sequence_head import OBJECTIVE as SEQUENCE_HEAD
from tests.support.method_checks import EXACT, MERGED, Cell, check_method, off
from tests.support.tiny_models import IDS, MAKERS, tiny_logits

OPTIONS: dict[str, dict[str, Any]] = {"shira": {"r": 4}, "waveft": {"n_frequency": 500}}
"""Where the default does not fit a model this small."""
ON_DECODERS = ("lora", "ssf", "bottleneck", "full", "prefix_tuning", "ln_tuning", "boft", "adalora", "vera")
"""Walked on a decoder too: one of each kind of method."""
WITHOUT_HEAD = ("adaption_prompt", "trainable_tokens")
ONLY_ENCODERS = ("prompt_tuning", "p_tuning")
VIRTUAL = {"num_virtual_tokens": 4}
METHODS = [name for name in adapter_registry if name not in (NO_METHOD, *WITHOUT_HEAD)]
WALKED = [*((name, "bert_head") for name in METHODS), *((name, "llama_head") for name in ON_DECODERS)]
CELLS = [
    Cell("lora", "bert_head"),
    Cell("lora", "bert_head_bf16", autocast=True),
    Cell("lora", "gpt2_head"),
    Cell("lora", "llama_head_nf4"),
    Cell("lora", "llama_head_int8"),
    Cell("dora", "bert_head", {"init_lora_weights": "pissa"}),
    Cell("ssf", "bert_head"),
    Cell("ssf", "gpt2_head"),
    Cell("bottleneck", "llama_head_nf4"),
    Cell("ia3", "bert_head", rate=5e-2),
    Cell("prompt_tuning", "bert_head", VIRTUAL, start_shift=None),
    Cell("prefix_tuning", "llama_head", VIRTUAL, start_shift=None),
    Cell("full", "bert_head"),
    Cell("full", "bert_head_bf16"),
    Cell("last_layer", "bert_head"),
    Cell("last_layer", "llama_head"),
    Cell("last_layer", "llama_head_nf4", {"blocks": 0}),
]
QUICK = ("lora-bert_head", "last_layer-llama_head")


@pytest.mark.parametrize(
    "cell",
    [pytest.param(cell, id=str(cell), marks=[] if str(cell) in QUICK else pytest.mark.slow) for cell in CELLS],
)
@pytest.mark.filterwarnings("ignore")
def test_a_method_keeps_its_promises_under_a_head(cell: Cell, tmp_path: Path) -> None:
    if cell.storage != "plain":
        pytest.importorskip("bitsandbytes")
    check_method(cell, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), WALKED)
@pytest.mark.filterwarnings("ignore")
def test_the_head_is_trained_and_saved_with_every_method(name: str, kind: str, tmp_path: Path) -> None:
    cell = Cell(name, kind, OPTIONS.get(name, {}))
    model = attach_adapter(MAKERS[kind](), name, cell.given, Path(), 7, cell.rows)
    move(model)
    named = [(key, weight) for key, weight in model.named_parameters() if weight.requires_grad]
    for head in head_names(MAKERS[kind]()):
        assert [key for key, _ in named if f"{head}." in key], f"{name} leaves {head} as it was"
    expected = tiny_logits(model)
    assert off(tiny_logits(MAKERS[kind]()), expected) > 0.1
    save_adapter(model, name, tmp_path / "adapter")
    loaded = load_adapter(MAKERS[kind](), tmp_path / "adapter")
    assert off(expected, tiny_logits(loaded)) < EXACT
    check_rows_alone(loaded)
    if adapter_method(name).unmergeable({}, "plain") is None and (name, kind) != ("ssf", "llama_head"):
        assert off(expected, tiny_logits(adapter_method(name).merge(loaded))) < MERGED.get(kind, 1e-4)


@pytest.mark.parametrize("name", WITHOUT_HEAD)
def test_a_method_that_trains_no_module_is_refused_under_a_head(name: str) -> None:
    said = refusal(name, {}, "plain", SEQUENCE_HEAD)
    assert said is not None
    assert said.startswith(f"{name} trains no module of the base, which a head is; on plain these work: lora, ")
    assert refusal(name, {}, "plain", CAUSAL_LM) is None


@pytest.mark.parametrize("name", ONLY_ENCODERS)
def test_vectors_in_place_of_tokens_are_refused_under_the_head_of_a_decoder(name: str) -> None:
    said = refusal(name, {}, "plain", SEQUENCE_HEAD, "decoder")
    assert said is not None
    assert said.startswith(f"{name} puts vectors in place of tokens")
    assert f", {name}" not in said.partition("these work")[2]
    assert refusal(name, {}, "plain", SEQUENCE_HEAD, "encoder") is None
    assert refusal(name, {}, "plain", CAUSAL_LM, "decoder") is None


def check_rows_alone(model: Any) -> None:
    """A row among longer ones has the scores that it has alone."""
    mask = torch.ones_like(IDS)
    mask[0, 6:] = 0
    with torch.no_grad():
        together = model(input_ids=IDS * mask, attention_mask=mask).logits[0]
        alone = model(input_ids=IDS[:1, :6], attention_mask=mask[:1, :6]).logits[0]
    assert off(alone, together) < EXACT


def move(model: Any) -> None:
    """Three steps on the labels of two rows."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.05)
    for _ in range(3):
        logits = model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
        cross_entropy(logits.float(), torch.tensor([0, 2])).backward()
        optimizer.step()
        optimizer.zero_grad()
