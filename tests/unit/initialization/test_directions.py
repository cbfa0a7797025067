"""What initialisers write into AdaLoRA, GraLoRA and DeLoRA, against a full decomposition of each weight."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.method import TASK_TYPE
from sft.exceptions import UserError
from sft.initialization.initializers import initializer_registry
from sft.initialization.utils import dequantize

Make = Callable[[str], Any]
Logits = Callable[[Any], torch.Tensor]
SMALL = {"adalora": {"init_r": 5, "target_r": 3}, "gralora": {"r": 6, "gralora_k": 2}, "delora": {"r": 5}}


def attached(model: Any, name: str, seed: int = 7, folder: Path = Path(), **options: Any) -> Any:
    return attach_adapter(model, name, {TASK_TYPE: "CAUSAL_LM", **SMALL[name], **options}, folder, seed)


def layers(model: Any) -> dict[str, Any]:
    found = {name: module for name, module in model.named_modules() if hasattr(module, "base_layer")}
    assert len(found) == 14
    return found


def svd(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.linalg.svd(weight.double(), full_matrices=False)


@pytest.mark.parametrize("kind", ["fp32", "bf16", "nf4", "int8", "gpt2"])
def test_adalora_begins_at_the_singular_vectors_of_the_weights_with_e_at_0(
    kind: str, make_model: Make, logits: Logits
) -> None:
    if kind in ("nf4", "int8"):
        pytest.importorskip("bitsandbytes")
    base = make_model(kind)
    before = logits(base)
    model = attached(base, "adalora", init_lora_weights="pissa")
    found = {name: module for name, module in model.named_modules() if hasattr(module, "lora_E")}
    assert len(found) == (8 if kind == "gpt2" else 14)
    for module in found.values():
        a, b, e = (getattr(module, f"lora_{part}")["default"].detach() for part in "ABE")
        assert {a.dtype, b.dtype, e.dtype} == {torch.float32}
        left, _, right = svd(dequantize(module.get_base_layer()))
        assert not e.any()
        for number in range(5):  # the sign of a pair is free
            pair = torch.outer(b[:, number], a[number]).double()
            assert (pair - torch.outer(left[:, number], right[number])).abs().max() < 1e-5
    assert torch.equal(logits(model), before)
    assert model.peft_config["default"].init_lora_weights is True


def test_adalora_begins_at_the_last_singular_vectors_with_milora(make_model: Make, logits: Logits) -> None:
    base = make_model("fp32")
    before = logits(base)
    model = attached(base, "adalora", init_lora_weights="milora")
    assert torch.equal(logits(model), before)
    for module in layers(model).values():
        left, _, right = svd(module.get_base_layer().weight.detach())
        made = module.lora_B["default"].detach() @ module.lora_A["default"].detach()
        assert (made.double() - left[:, -5:] @ right[-5:]).abs().max() < 1e-4


def test_a_b_that_is_0_stays_as_peft_draws_it_so_that_e_has_a_gradient(make_model: Make) -> None:
    model = attached(make_model("fp32"), "adalora", init_lora_weights="pca")
    drawn = attached(make_model("fp32"), "adalora")
    for place, module in layers(model).items():
        b = module.lora_B["default"]
        assert torch.equal(b, drawn.get_submodule(place).lora_B["default"])
        assert b.any(dim=0).all()
        assert torch.allclose(module.lora_A["default"].norm(dim=1), torch.ones(5))


def test_vectors_without_a_direction_stay_as_peft_draws_them(make_model: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def start(layer, rank, dtype=torch.float32):\n"
        "    a, b = torch.zeros(rank, layer.in_features), torch.zeros(layer.out_features, rank)\n"
        "    a[0, 1], b[2, 1] = -3.0, 0.5\n"
        "    return {'lora_A': a, 'lora_B': b}\n"
    )
    model = attached(make_model("fp32"), "adalora", folder=tmp_path, init_lora_weights="mine.py:start")
    drawn = attached(make_model("fp32"), "adalora")
    for place, module in layers(model).items():
        a, b = module.lora_A["default"].detach(), module.lora_B["default"].detach()
        peft_a, peft_b = (getattr(drawn.get_submodule(place), f"lora_{part}")["default"].detach() for part in "AB")
        assert torch.equal(a[1:], peft_a[1:])
        assert torch.equal(b[:, [0, 2, 3, 4]], peft_b[:, [0, 2, 3, 4]])
        assert (a[0, 1], b[2, 1]) == (-1, 1)
        assert (a[0].abs().sum(), b[:, 1].abs().sum()) == (1, 1)


@pytest.mark.parametrize("kind", ["fp32", pytest.param("nf4", marks=pytest.mark.slow)])
def test_gralora_reads_the_singular_vectors_of_each_block(kind: str, make_model: Make, logits: Logits) -> None:
    if kind == "nf4":
        pytest.importorskip("bitsandbytes")
    base = make_model(kind)
    before = logits(base)
    model = attached(base, "gralora", init_weights="pca", hybrid_r=2)
    assert torch.equal(logits(model), before)
    for module in layers(model).values():
        weight = dequantize(module.get_base_layer())
        assert spanned(module.gralora_A_general["default"].weight, svd(weight)[2][:2])
        for number, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            out, inputs = weight.shape[0] // 2, weight.shape[1] // 2
            block = weight[row * out :, column * inputs :][:out, :inputs]
            assert spanned(read_by(module, number, column), svd(block)[2][:3])


def read_by(module: Any, number: int, column: int) -> torch.Tensor:
    """(rank / 2, in / 2) what one block reads, by the change that it alone makes."""
    b = module.gralora_B["default"].data
    kept = b.clone()
    b.zero_()
    row = number // 2
    b[row, column * 3 : (column + 1) * 3, :3] = torch.eye(3)  # one output for each of the block's directions
    delta = module.get_delta_weight("default") / module.scaling["default"]
    b.copy_(kept)
    out, inputs = delta.shape[0] // 2, delta.shape[1] // 2
    touched = torch.zeros_like(delta, dtype=torch.bool)
    touched[row * out :, column * inputs :][:3, :inputs] = True
    assert not (delta * ~touched).any()
    return delta[touched].reshape(3, inputs).detach()


def spanned(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether rows are the same unit vectors, up to their signs."""
    cosines = (found.detach().double() @ expected.T).abs()
    return bool((cosines - torch.eye(len(expected))).abs().max() < 1e-5)


def test_delora_reads_its_inputs_along_the_singular_vectors(make_model: Make, logits: Logits) -> None:
    base = make_model("fp32")
    before = logits(base)
    model = attached(base, "delora", init_weights="pca")
    assert torch.equal(logits(model), before)
    for module in layers(model).values():
        right = svd(module.get_base_layer().weight.detach())[2][:5]
        module.delora_B["default"].data[:5] = torch.eye(5)
        delta = module.get_delta_weight("default").detach()[:5]
        assert spanned(torch.nn.functional.normalize(delta, dim=1), right)


def test_a_column_of_zeros_is_no_division_by_zero(make_model: Make) -> None:
    base = make_model("fp32")
    base.model.layers[0].self_attn.q_proj.weight.data[:, 3] = 0
    model = attached(base, "delora", init_weights="pca")
    assert all(torch.isfinite(module.delora_A["default"]).all() for module in layers(model).values())


@pytest.mark.parametrize(("name", "option"), [("gralora", "init_weights"), ("delora", "init_weights")])
def test_where_nothing_is_taken_off_b_must_be_0(name: str, option: str, make_model: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from sft.initialization.initializers.pissa import pissa\n")
    said = r"^initialiser mine\.py:pissa, layer .*layers\.0\.self_attn\.q_proj: lora_B is not 0, and this method takes"
    with pytest.raises(UserError, match=said):
        attached(make_model("fp32"), name, folder=tmp_path, **{option: "mine.py:pissa"})


@pytest.mark.parametrize("name", sorted(set(initializer_registry) & {"pca", "pissa", "milora"}))
def test_the_start_depends_on_the_weights_alone(name: str, make_model: Make) -> None:
    one, other = (attached(make_model("fp32"), "adalora", seed, init_lora_weights=name) for seed in (1, 2))
    for place, module in layers(one).items():
        parts = "A" if name == "pca" else "AB"
        for part in parts:
            same = getattr(other.get_submodule(place), f"lora_{part}")["default"]
            assert torch.equal(getattr(module, f"lora_{part}")["default"], same)
