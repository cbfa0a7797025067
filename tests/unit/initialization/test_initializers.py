"""The mathematics of each initialiser, against a full singular value decomposition."""

import sys

import pytest
import torch
from torch import nn

from sft.exceptions import PackageMissing, UserError
from sft.initialization.factors import keeps_base, needs_of
from sft.initialization.initializers import MOVING, initializer_registry, require_initializer_package
from sft.initialization.initializers.milora import milora
from sft.initialization.initializers.pca import pca
from sft.initialization.initializers.pissa import pissa
from sft.initialization.initializers.pissa_simplified import pissa_simplified
from sft.pipeline.methods import methods_record
from sft.registry import import_object, load

SHAPES = [(48, 64), (64, 48), (64, 64)]


def linear(out, inputs, seed=0):
    torch.manual_seed(seed)
    layer = nn.Linear(inputs, out, bias=False)
    layer.weight.data = torch.randn(out, inputs) / 8
    return layer


@pytest.mark.parametrize(("out", "inputs"), SHAPES)
def test_pca_is_the_top_eigenvectors_of_the_uncentred_gram(out, inputs):
    layer = linear(out, inputs)
    made = pca(layer, 5, torch.float32)
    gram = (layer.weight.T @ layer.weight).detach().double()
    values = torch.linalg.eigvalsh(gram).flip(0)[:5]
    a = made["lora_A"].double()
    assert (a @ a.T - torch.eye(5)).abs().max() < 1e-5
    assert (gram @ a.T - a.T * values).abs().max() < 1e-5
    assert not made["lora_B"].any()
    assert made["lora_B"].shape == (out, 5)
    assert (a.gather(1, a.abs().argmax(dim=1, keepdim=True)) > 0).all()


@pytest.mark.parametrize(("out", "inputs"), SHAPES)
def test_pissa_is_the_best_approximation_of_its_rank_with_balanced_factors(out, inputs):
    layer = linear(out, inputs)
    made = pissa(layer, 6, torch.float32)
    left, values, right = torch.linalg.svd(layer.weight.detach())
    best = left[:, :6] * values[:6] @ right[:6]
    assert (made["lora_B"] @ made["lora_A"] - best).abs().max() < 1e-5
    root = values[:6].sqrt()
    assert (made["lora_A"].norm(dim=1) - root).abs().max() < 1e-5
    assert (made["lora_B"].norm(dim=0) - root).abs().max() < 1e-5


@pytest.mark.parametrize(("out", "inputs"), SHAPES)
def test_milora_is_what_the_best_approximation_of_the_remaining_rank_leaves(out, inputs):
    layer = linear(out, inputs)
    made = milora(layer, 6, torch.float32)
    left, values, right = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    best = left[:, :-6] * values[:-6] @ right[:-6]
    assert (made["lora_B"] @ made["lora_A"] - (layer.weight.detach() - best)).abs().max() < 1e-5
    root = values.flip(0)[:6].sqrt()
    assert (made["lora_A"].norm(dim=1) - root).abs().max() < 1e-5
    assert (made["lora_B"].norm(dim=0) - root).abs().max() < 1e-5


def test_pissa_simplified_has_the_same_factors_and_says_that_it_keeps_the_base():
    layer = linear(48, 64)
    one, other = pissa(layer, 4, torch.float32), pissa_simplified(layer, 4, torch.float32)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert keeps_base(pissa_simplified)
    assert not keeps_base(pissa)


@pytest.mark.parametrize("name", sorted(set(initializer_registry) - {"umap", "loftq"}))
def test_every_initialiser_is_pure(name):
    initializer = import_object(initializer_registry[name])
    layer = linear(48, 64)
    before, state = layer.weight.detach().clone(), torch.get_rng_state()
    given = (layer, 4, torch.bfloat16, *([torch.eye(64).double()] if needs_of(initializer) else []))
    made, again = initializer(*given), initializer(*given)
    assert set(made) == {"lora_A", "lora_B"}
    assert made["lora_A"].dtype == made["lora_B"].dtype == torch.bfloat16
    assert all(torch.equal(made[key], again[key]) for key in made)
    assert torch.equal(layer.weight, before)
    assert bool(made["lora_B"].any()) == (name in MOVING or keeps_base(initializer))
    assert torch.equal(torch.get_rng_state(), state)
    assert not made["lora_A"].requires_grad


def test_a_rank_above_the_smaller_side_is_told():
    with pytest.raises(UserError, match="rank 49 is above 48"):
        pca(linear(48, 64), 49)


def test_umap_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    umap = import_object(initializer_registry["umap"])
    with pytest.raises(PackageMissing, match=r"umap needs the package umap-learn.*sft-grid\[umap\]"):
        umap(linear(48, 64), 4)


def test_a_missing_package_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    require_initializer_package("pca")
    require_initializer_package(True)
    with pytest.raises(PackageMissing, match=r"umap needs the package umap-learn.*sft-grid\[umap\]"):
        require_initializer_package("umap")


@pytest.mark.slow
def test_umap_itself_gives_the_same_map_twice():
    pytest.importorskip("umap")
    umap = import_object(initializer_registry["umap"])
    first, second = (umap(linear(48, 64), 4, torch.float32) for _ in range(2))
    assert torch.equal(first["lora_A"], second["lora_A"])
    assert torch.allclose(first["lora_A"].norm(dim=1), torch.full((4,), 3**-0.5))
    assert not first["lora_B"].any()


def test_an_entry_may_be_the_function_itself(monkeypatch):
    monkeypatch.setitem(initializer_registry, "mine", pca)
    assert load(initializer_registry, "mine", "initialiser") is pca
    assert load(initializer_registry, "pca", "initialiser") is pca
    summaries = {entry["name"]: entry["summary"] for entry in methods_record()["initialisers"]}
    assert summaries["mine"] == pca.__doc__.split("\n")[0]


def test_umap_rows_have_the_norm_of_the_default_and_do_not_depend_on_the_maps_scale(monkeypatch):
    import sys
    from types import SimpleNamespace

    class Map:
        def __init__(self, **arguments):
            self.rank = arguments["n_components"]

        def fit_transform(self, points):
            assert points.shape == (64, 48)
            return 10 * points[:, : self.rank] + 3

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Map))
    umap = import_object(initializer_registry["umap"])
    made = umap(linear(48, 64), 4, torch.float32)
    assert made["lora_A"].shape == (4, 64)
    assert made["lora_A"].norm(dim=1).tolist() == pytest.approx([3**-0.5] * 4)
    assert made["lora_A"].mean(dim=1).abs().max() < 1e-6
    assert not made["lora_B"].any()
    with pytest.raises(UserError, match="takes at most 62"):
        umap(linear(48, 64), 63)
