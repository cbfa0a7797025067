"""Singular triplets beside torch's full decomposition."""

from pathlib import Path

import pytest
import torch

from sft.exceptions import UserError
from sft.initialization import spectrum
from sft.initialization.spectrum import bottom_singular, top_singular

DEMO = Path(__file__).parents[3] / "data" / "demo" / "SmolLM2-135M-Instruct" / "model.safetensors"


def with_values(out, inputs, values):
    torch.manual_seed(1)
    left = torch.linalg.qr(torch.randn(out, out)).Q
    right = torch.linalg.qr(torch.randn(inputs, inputs)).Q
    side = min(out, inputs)
    return left[:, :side] * values[:side] @ right[:side]


def power_law(out, inputs):
    return with_values(out, inputs, torch.arange(1, min(out, inputs) + 1).float() ** -0.3)


def flat(out, inputs):
    """A random matrix: of its largest values none stands out."""
    torch.manual_seed(2)
    return torch.randn(out, inputs)


def worst_cosine(rows, exact):
    return float(torch.linalg.svdvals(rows.double() @ exact.double().T).min())


@pytest.mark.parametrize("rank", [4, 16])
@pytest.mark.parametrize("spectrum_of", [power_law, flat])
def test_the_randomised_subspace_is_the_exact_one_to_a_worst_cosine_of_0_99(spectrum_of, rank, monkeypatch):
    weight = spectrum_of(320, 256)
    exact = torch.linalg.svd(weight.double(), full_matrices=False)
    monkeypatch.setattr(spectrum, "EXACT_UP_TO", 8)
    randomised = top_singular(weight, rank)
    assert worst_cosine(randomised.right, exact.Vh[:rank]) > 0.99
    assert worst_cosine(randomised.left.T, exact.U[:, :rank].T) > 0.99
    assert (exact.S[:rank] / randomised.values - 1).abs().max() < 2e-3
    monkeypatch.undo()
    assert not torch.equal(top_singular(weight, rank).right, randomised.right)


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (64, 64)], ids=str)
@pytest.mark.parametrize("spectrum_of", [power_law, flat])
def test_exact_triplets_are_those_of_a_full_decomposition(spectrum_of, shape):
    weight = spectrum_of(*shape)
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    for found, chosen in ((top_singular(weight, 5), slice(0, 5)), (bottom_singular(weight, 5), slice(-5, None))):
        assert (found.values.sort().values - values[chosen].sort().values).abs().max() < 1e-5
        assert worst_cosine(found.right, right[chosen]) > 1 - 1e-6
        assert worst_cosine(found.left.T, left[:, chosen].T) > 1 - 1e-6
        largest = found.right.abs().argmax(dim=1, keepdim=True)
        assert (found.right.gather(1, largest) > 0).all()
        assert ((found.left.T @ weight) - found.values[:, None] * found.right).abs().max() < 1e-4
    assert (bottom_singular(weight, 5).values.diff() >= 0).all()
    assert (top_singular(weight, 5).values.diff() <= 0).all()


WITH_A_GAP = torch.tensor([3.0, 2.5, 2.0, 1.98, *[1.0] * 44])
NEARLY_WITHOUT = torch.tensor([3.0, 2.5, 2.0, 2.0 - 2e-6, *[1.0] * 44])
STEEP = torch.tensor([1.0, 0.01, 0.009, *[1e-3] * 45])


@pytest.mark.parametrize(
    ("values", "in_fp32"), [(WITH_A_GAP, True), (NEARLY_WITHOUT, False), (STEEP, False)], ids=["gap", "none", "steep"]
)
def test_fp32_does_where_it_provably_finds_the_directions_and_else_fp64(values, in_fp32, monkeypatch):
    weight, in_fp64 = with_values(48, 64, values), []
    monkeypatch.setattr(spectrum, "_exact", lambda *given, exact=spectrum._exact: in_fp64.append(1) or exact(*given))
    for turned in (weight, weight.T):
        in_fp64.clear()
        found = top_singular(turned, 3)
        assert bool(in_fp64) is not in_fp32
        exact = torch.linalg.svd(turned.double(), full_matrices=False)
        assert worst_cosine(found.right, exact.Vh[:3]) > 0.9999
        assert worst_cosine(found.left.T, exact.U[:, :3].T) > 0.9999
        assert (found.right @ found.right.T - torch.eye(3)).abs().max() < 1e-5


def test_weights_that_are_no_numbers_give_none():
    weight = torch.ones(8, 6)
    weight[2, 3] = torch.nan
    try:
        found = top_singular(weight, 2)
    except torch.linalg.LinAlgError:
        return
    assert not torch.isfinite(found.values).all()


@pytest.mark.parametrize("shape", [(48, 64), (64, 48)], ids=str)
def test_values_that_drown_in_the_gram_matrix_are_found_all_the_same(shape):
    weight = with_values(*shape, 10 ** torch.linspace(0, -7, 48).double().float()).double()
    exact = torch.linalg.svd(weight, full_matrices=False)
    found = bottom_singular(weight, 3)
    assert (found.values / exact.S.flip(0)[:3] - 1).abs().max() < 1e-6
    assert worst_cosine(found.right, exact.Vh[-3:]) > 1 - 1e-6


def test_weights_of_low_rank_still_give_orthonormal_directions():
    weight = torch.outer(torch.arange(1.0, 9), torch.arange(1.0, 7))
    for low in (weight, weight.T):
        for found in (top_singular(low, 4), bottom_singular(low, 4)):
            assert (found.right @ found.right.T - torch.eye(4)).abs().max() < 1e-5
            assert (found.left.T @ found.left - torch.eye(4)).abs().max() < 1e-5
    assert torch.isfinite(top_singular(torch.zeros(8, 6), 3).right).all()
    assert torch.isfinite(bottom_singular(torch.zeros(8, 6), 3).right).all()


def test_a_rank_above_the_smaller_side_is_told():
    for triplets in (top_singular, bottom_singular):
        with pytest.raises(UserError, match=r"rank 49 is above 48, the smaller side of a layer of \(48, 64\)"):
            triplets(torch.ones(48, 64), 49)


@pytest.mark.slow
@pytest.mark.skipif(not DEMO.is_file(), reason=f"NOT TESTED: there is no {DEMO}; make it with `make demo-data`")
@pytest.mark.parametrize(
    "place", ["layers.5.self_attn.q_proj", "layers.0.self_attn.k_proj", "layers.29.mlp.down_proj"]
)
def test_real_weights_have_the_directions_of_a_full_decomposition(place, monkeypatch):
    from safetensors import safe_open

    with safe_open(str(DEMO), "pt") as file:
        weight = file.get_tensor(f"model.{place}.weight").float()
    exact = torch.linalg.svd(weight.double(), full_matrices=False).Vh
    for rank in (8, 64):
        assert worst_cosine(top_singular(weight, rank).right, exact[:rank]) > 0.9999
        assert worst_cosine(bottom_singular(weight, rank).right, exact[-rank:]) > 0.99
        with monkeypatch.context() as bound:
            bound.setattr(spectrum, "EXACT_UP_TO", 8)
            assert worst_cosine(top_singular(weight, rank).right, exact[:rank]) > 0.99
