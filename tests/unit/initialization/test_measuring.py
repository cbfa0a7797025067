"""What training rows make layers see is what slow versions find, and nothing of the model is changed by the look."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.initialization import measuring
from sft.initialization.initializers import NEEDS
from sft.initialization.layers import adapter_layers
from sft.initialization.measuring import MEASUREMENTS, measured
from sft.initialization.row_batches import batches
from sft.initialization.utils import dequantize
from sft.prompts.train_row import SourceRow, TrainRow
from tests.support.encoder_decoders import FAMILIES
from tests.support.tiny_models import MAKERS
from tests.support.tiny_training import tiny_rows, tiny_source_rows

ROWS = tiny_rows()
SOURCES = [f"{family}_source" for family in FAMILIES]


def attached(model: Any, **options: Any) -> Any:
    return attach_adapter(model, "lora", {"r": 4, **options}, Path(), 1)


def seen(model: Any, needed: str, rows: Sequence[TrainRow] = ROWS) -> dict[str, torch.Tensor]:
    found = {
        layer.name: matrix for layer, matrix in measured(model, adapter_layers(model), MEASUREMENTS[needed], rows)
    }
    assert None not in found.values()
    return found  # type: ignore[return-value]


def rows_of(kind: str) -> Sequence[TrainRow]:
    return tiny_source_rows() if kind in SOURCES else ROWS


def stacked_inputs(model: Any, names: set[str], rows: Sequence[TrainRow] = ROWS) -> dict[str, torch.Tensor]:
    """Every input (tokens, in) of each layer of a plain base, row by row."""
    inputs: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    for name, module in model.named_modules():
        if name in names:
            module.register_forward_hook(lambda m, args, out, kept=inputs[name]: kept.append(args[0][0].double()))
    with torch.no_grad():
        for row in rows:
            written = (*row.opening, *row.labels[:-1]) if isinstance(row, SourceRow) else ()
            model(torch.tensor([row.input_ids]), **({"decoder_input_ids": torch.tensor([written])} if written else {}))
    return {name: torch.cat(kept) for name, kept in inputs.items()}


def test_what_may_be_needed_is_what_can_be_measured() -> None:
    assert tuple(MEASUREMENTS) == NEEDS


@pytest.mark.parametrize("kind", ["fp32", "gpt2", "nf4", *SOURCES])
def test_activations_are_the_gram_matrix_of_all_tokens(kind: str) -> None:
    rows = rows_of(kind)
    found = seen(attached(MAKERS[kind]()), "activations", rows)
    names = {name.removeprefix("base_model.model."): name for name in found}
    slow = stacked_inputs(MAKERS[kind](), set(names), rows)
    assert kind not in SOURCES or all(any(f"{part}." in name for name in names) for part in ("encoder", "decoder"))
    for short, name in names.items():
        tokens = sum(len(row.input_ids) for row in rows)
        assert len(slow[short]) in ({tokens, 3 * len(rows)} if kind in SOURCES else {tokens})
        assert found[name].dtype == torch.float64
        assert torch.allclose(found[name], slow[short].T @ slow[short], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["fp32", "gpt2", "nf4", *SOURCES])
def test_gradients_are_those_of_the_weights_that_are_computed_with(kind: str) -> None:
    rows = rows_of(kind)
    found = seen(attached(MAKERS[kind]()), "gradients", rows)
    plain = MAKERS[kind]()
    weights = {}
    for name, module in list(plain.named_modules()):
        if f"base_model.model.{name}" in found:  # a layer of plain weights in the place of each
            layer = torch.nn.Linear(1, 1)
            layer.weight = torch.nn.Parameter(dequantize(module))
            layer.bias = getattr(module, "bias", None)
            plain.set_submodule(name, layer)
            weights[f"base_model.model.{name}"] = layer.weight
    for batch in list(batches(plain, rows, 8)):
        (batch.loss(plain) / 2).backward()
    for name, weight in weights.items():
        assert weight.grad is not None
        assert (found[name] - weight.grad).abs().max() < 1e-4 * weight.grad.abs().max(), name


@pytest.mark.parametrize("needed", NEEDS)
def test_less_room_takes_more_passes_and_gives_the_same(needed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, passes = attached(MAKERS["fp32"]()), []
    forward = model.get_base_model().forward
    monkeypatch.setattr(model.get_base_model(), "forward", lambda *a, **k: passes.append(1) or forward(*a, **k))
    whole, once = seen(model, needed), len(passes)
    monkeypatch.setattr(measuring, "ROOM", 100_000)
    pieces = seen(model, needed)
    assert once == (len(ROWS) if needed == "activations" else 2)
    assert len(passes) > 2 * once
    assert whole.keys() == pieces.keys()
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


@pytest.mark.parametrize("needed", NEEDS)
def test_the_look_leaves_the_model_as_it_was(needed: str) -> None:
    model = attached(MAKERS["fp32"](), modules_to_save=["lm_head"])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.5)  # an adapter that is there already is passed over
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    found = seen(model, needed)
    assert trained == [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    alone = seen(attached(MAKERS["fp32"]()), needed)
    assert all(torch.equal(found[name], alone[name]) for name in alone)


def test_layers_that_get_one_tensor_share_one_product() -> None:
    watch, given = measuring._watching_inputs(), []
    layers = [torch.nn.Linear(6, 3) for _ in range(3)]
    for layer in layers:
        watch(layer, given.append)
    inputs = torch.ones(2, 6)
    layers[0](inputs), layers[1](inputs), layers[2](inputs.clone())
    assert given[0] is given[1]
    assert given[2] is not given[0]
    assert torch.equal(given[2], given[0])


def test_a_layer_that_no_row_passes_has_nothing() -> None:
    model = attached(MAKERS["fp32"]())
    block = model.get_base_model().model.layers[1].mlp
    block.forward = lambda hidden: hidden
    looked_at = measured(model, adapter_layers(model), MEASUREMENTS["activations"], ROWS)
    found = {layer.name: matrix for layer, matrix in looked_at}
    assert {name.partition("layers.")[2] for name, matrix in found.items() if matrix is None} == {
        f"1.mlp.{name}_proj" for name in ("gate", "up", "down")
    }
