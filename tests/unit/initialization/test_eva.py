"""EVA against a singular value decomposition of all inputs, stacked."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.exceptions import UserError
from sft.initialization import spectrum
from sft.initialization.layers import adapter_layers
from sft.initialization.spectrum import top_directions
from sft.models.library_warnings import forget_warnings, noted_warnings
from sft.prompts.train_row import TrainRow
from tests.support.tiny_models import MAKERS, tiny_logits
from tests.support.tiny_training import tiny_rows
from tests.unit.initialization.test_measuring import stacked_inputs


def begun(kind: str, rows: list[TrainRow], **options: Any) -> Any:
    return attach_adapter(MAKERS[kind](), "lora", {"r": 4, "init_lora_weights": "eva", **options}, Path(), 1, rows)


@pytest.mark.parametrize("kind", ["fp32", "gpt2", "nf4"])
def test_a_is_the_first_right_singular_vectors_of_all_inputs(kind: str) -> None:
    layers = adapter_layers(begun(kind, tiny_rows(), rank_pattern={"q_proj|c_fc": 3}))
    slow = stacked_inputs(MAKERS[kind](), {layer.name.removeprefix("base_model.model.") for layer in layers})
    assert {layer.rank for layer in layers} == {3, 4}
    for layer in layers:
        a, b = layer.weights()
        expected = torch.linalg.svd(slow[layer.name.removeprefix("base_model.model.")], full_matrices=False)[2]
        assert ((a.double() * expected[: layer.rank]).sum(dim=1).abs() > 1 - 1e-5).all(), layer.name
        assert (a.gather(1, a.abs().argmax(dim=1, keepdim=True)) > 0).all()
        assert (a @ a.T - torch.eye(layer.rank)).abs().max() < 1e-5
        assert not b.any()


@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"use_rslora": True, "lora_alpha": 3}], ids=str)
@pytest.mark.parametrize("kind", ["fp32", "bf16", "nf4", "int8"])
def test_the_function_stays_to_the_last_bit(kind: str, options: dict[str, Any]) -> None:
    before, after = tiny_logits(MAKERS[kind]()), tiny_logits(begun(kind, tiny_rows(), **options))
    if options.get("use_dora"):
        assert (after - before).abs().max() < (0.02 if kind in ("bf16", "int8") else 1e-5) * before.abs().max()
        return
    assert torch.equal(before, after)


def test_the_rows_alone_decide(make_model: Any) -> None:
    def factors(rows: list[TrainRow], seed: int) -> list[torch.Tensor]:
        options = {"r": 4, "init_lora_weights": "eva"}
        model = attach_adapter(make_model("fp32"), "lora", options, Path(), seed, rows)
        return [layer.weights()[0] for layer in adapter_layers(model)]

    one, again, other = factors(tiny_rows(), 1), factors(tiny_rows(), 2), factors(tiny_rows()[:5], 1)
    assert all(map(torch.equal, one, again))
    assert not any(map(torch.equal, one, other))


def test_prompt_and_answer_count_and_labels_do_not() -> None:
    rows = tiny_rows()
    unlabelled = [TrainRow(row.input_ids, (*row.labels[:-1], -100)) for row in rows]
    cut = [TrainRow(row.input_ids[:-1], row.labels[:-1]) for row in rows]
    one, same, other = (adapter_layers(begun("fp32", given))[0].weights()[0] for given in (rows, unlabelled, cut))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_layers_that_read_the_same_inputs_are_decomposed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(
        "sft.initialization.initializers.eva.top_directions",
        lambda *given: found.append(top_directions(*given)) or found[-1],
    )
    layers = adapter_layers(begun("fp32", tiny_rows()))
    assert (len(layers), len(found)) == (14, 8)  # q, k and v; o; gate and up; down, in each of two blocks
    for q, k, v in (layers[:3], layers[7:10]):
        assert torch.equal(q.weights()[0], k.weights()[0])
        assert torch.equal(q.weights()[0], v.weights()[0])


def test_the_randomised_directions_are_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(500, 200, dtype=torch.float64) * torch.arange(1, 201).double() ** -0.5
    gram = inputs.T @ inputs
    exact = top_directions(gram, 8)
    monkeypatch.setattr(spectrum, "EXACT_UP_TO", 8)
    assert torch.linalg.svdvals(exact @ top_directions(gram, 8).T).min() > 0.999


def test_fewer_tokens_than_directions_still_give_a_basis() -> None:
    seen = torch.zeros(6, 6, dtype=torch.float64)
    seen[0, 0] = 1
    found = top_directions(seen, 4)
    assert torch.allclose(found @ found.T, torch.eye(4, dtype=torch.float64))
    assert torch.equal(found[0], torch.eye(6, dtype=torch.float64)[0])
    with pytest.raises(UserError, match="rank 7 is above 6"):
        top_directions(seen, 7)


def test_no_rows_are_told() -> None:
    with pytest.raises(UserError, match="init_lora_weights eva looks at training rows, and there are none"):
        begun("fp32", [])


def test_layers_that_no_row_passes_begin_by_default_and_it_is_noted() -> None:
    base = MAKERS["fp32"]()
    base.model.layers[1].mlp.forward = lambda hidden: hidden
    forget_warnings()
    model = attach_adapter(base, "lora", {"r": 4, "init_lora_weights": "eva"}, Path(), 1, tiny_rows())
    (noted,) = noted_warnings()
    assert noted.startswith("init_lora_weights eva leaves 3 of 14 layers that no training row passes")
    norms = {layer.name: float(layer.weights()[0].norm(dim=1).mean()) for layer in adapter_layers(model)}
    assert sum(abs(norm - 1) < 1e-5 for norm in norms.values()) == 11
    forget_warnings()
