"""After initialisation the model computes what it did before, on every kind of base."""

import warnings
from pathlib import Path

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.exceptions import UserError
from sft.initialization.apply import initialize, initialize_from
from sft.initialization.factors import initial_factors, load_factors, save_factors
from sft.initialization.layers import adapter_layers
from sft.initialization.utils import dequantize

OWN = """
import torch

def both(layer, rank, dtype=torch.bfloat16):
    rows, columns = layer.out_features, layer.in_features
    return {"lora_A": torch.ones(rank, columns, dtype=dtype), "lora_B": torch.full((rows, rank), 0.1, dtype=dtype)}

def wrong_shape(layer, rank, dtype=torch.bfloat16):
    return {"lora_A": torch.ones(rank, 3), "lora_B": torch.ones(3, rank)}

def not_finite(layer, rank, dtype=torch.bfloat16):
    return {key: value * float("nan") for key, value in both(layer, rank, dtype).items()}
"""
PATTERNS = {"rank_pattern": {"q_proj|c_attn": 3}, "alpha_pattern": {"v_proj|c_proj": 1}}
MODES = ({}, {"use_rslora": True, "lora_alpha": 3}, PATTERNS)


@pytest.mark.parametrize("options", MODES, ids=str)
@pytest.mark.parametrize("init", [True, "pca", "pissa", "milora"])
@pytest.mark.parametrize("kind", ["fp32", "gpt2", "nf4", "int8"])
def test_the_function_does_not_change(kind, init, options, make_model, logits):
    before = logits(make_model(kind))
    model = attach_adapter(make_model(kind), "lora", {"r": 4, "init_lora_weights": init, **options}, Path(), seed=1)
    assert (logits(model) - before).abs().max() < 1e-4 * before.abs().max()
    assert bool(initial_factors(model)) == (init in ("pissa", "milora"))


@pytest.mark.parametrize("init", ["pissa", "milora", "pca"])
def test_the_function_does_not_change_with_dora_or_own_precision(init, make_model, logits):
    options = {"init_lora_weights": init, "r": 4}
    before = logits(make_model("fp32"))
    dora = attach_adapter(make_model("fp32"), "lora", {**options, "use_dora": True}, Path(), 1)
    assert (logits(dora) - before).abs().max() < 1e-4
    before = logits(make_model("bf16"))
    model = attach_adapter(make_model("bf16"), "lora", options, Path(), 1)
    assert (logits(model) - before).abs().max() < 0.02 * before.abs().max()


@pytest.mark.parametrize("kind", ["fp32", "nf4", "int8"])
def test_an_own_initialiser_changes_no_function_either(kind, make_model, logits, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    before = logits(make_model(kind))
    options = {"init_lora_weights": "own.py:both", "lora_alpha": 16}
    model = attach_adapter(make_model(kind), "lora", options, tmp_path, 1)
    assert (logits(model) - before).abs().max() < 1e-3
    factors = initial_factors(model)
    layer = adapter_layers(model)[0]
    assert torch.allclose(factors[layer.name].a, torch.full_like(factors[layer.name].a, 2**-0.5))
    with pytest.raises(UserError, match=r"own.py:wrong_shape, layer .*q_proj: returned .*; expected"):
        attach_adapter(make_model(kind), "lora", {"init_lora_weights": "own.py:wrong_shape"}, tmp_path, 1)
    with pytest.raises(UserError, match="not finite"):
        attach_adapter(make_model(kind), "lora", {"init_lora_weights": "own.py:not_finite"}, tmp_path, 1)


@pytest.mark.parametrize("options", MODES, ids=str)
def test_pissa_trains_the_principal_part_whatever_the_scaling(options, make_model):
    model = make_model("fp32")
    weights = {name: module.weight.detach().clone() for name, module in model.named_modules() if "proj" in name}
    attached = attach_adapter(model, "lora", {"r": 4, "init_lora_weights": "pissa", **options}, Path(), 1)
    for layer in adapter_layers(attached):
        name = layer.name.removeprefix("base_model.model.")
        a, b = layer.weights()
        values = torch.linalg.svdvals(weights[name])[: layer.rank]
        assert (torch.linalg.svdvals(layer.scaling * b @ a)[: layer.rank] - values).abs().max() < 1e-4
        assert (layer.base.weight + layer.scaling * b @ a - weights[name]).abs().max() < 1e-5
        assert torch.linalg.svdvals(layer.base.weight)[0] < values[-1] + 1e-4


@pytest.mark.parametrize("kind", ["fp32", "nf4"])
def test_milora_trains_the_minor_part(kind, make_model):
    model = attach_adapter(make_model(kind), "lora", {"r": 4, "init_lora_weights": "milora"}, Path(), 1)
    plain = {name: module for name, module in make_model(kind).named_modules() if "proj" in name}
    for layer in adapter_layers(model):
        a, b = layer.weights()
        values = torch.linalg.svdvals(dequantize(plain[layer.name.removeprefix("base_model.model.")]))
        assert (torch.linalg.svdvals(layer.scaling * b @ a)[:4] - values[-4:]).abs().max() < 1e-4


def test_pissa_simplified_changes_the_model_and_warns(make_model, logits):
    before = logits(make_model("fp32"))
    with pytest.warns(UserWarning, match="the model is changed before the first step"):
        model = attach_adapter(make_model("fp32"), "lora", {"init_lora_weights": "pissa_simplified"}, Path(), 1)
    assert (logits(model) - before).abs().max() > 0.1
    assert not initial_factors(model)


@pytest.mark.parametrize("kind", ["nf4", "int8", "bf16"])
def test_an_anchor_stays_as_it_is_while_the_adapter_trains(kind, make_model, train_steps):
    model = attach_adapter(make_model(kind), "lora", {"init_lora_weights": "pissa", "r": 4}, Path(), 1)
    layers = adapter_layers(model)
    before = [weight.clone() for layer in layers for weight in (*layer.weights("anchor"), *layer.weights())]
    losses = train_steps(model)
    after = [weight for layer in layers for weight in (*layer.weights("anchor"), *layer.weights())]
    same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same == [True, True, False, False] * len(layers)
    assert losses[-1] < losses[0]
    assert {name.split(".")[-2] for name, p in model.named_parameters() if p.requires_grad} == {"default"}


def test_plain_initialisation_does_not_warn(make_model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for kind in ("fp32", "gpt2"):
            attach_adapter(make_model(kind), "lora", {"init_lora_weights": "pissa"}, Path(), 1)


def test_initial_factors_survive_a_file(make_model, tmp_path):
    model = attach_adapter(make_model("fp32"), "lora", {"init_lora_weights": "pissa"}, Path(), 1)
    save_factors(model, tmp_path / "initial.safetensors")
    loaded, kept = load_factors(tmp_path / "initial.safetensors"), initial_factors(model)
    assert set(loaded) == set(kept)
    assert all(torch.equal(loaded[name].a, kept[name].a) for name in kept)
    assert all(torch.equal(loaded[name].b, kept[name].b) for name in kept)


def test_an_error_names_the_initialiser_and_the_layer(make_model):
    from peft import LoraConfig, get_peft_model

    def refuses(layer, rank, dtype=torch.bfloat16):
        raise UserError("not this one", kind="model")

    model = get_peft_model(make_model("fp32"), LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(
        UserError, match=r"initialiser mine, layer .*layers\.0\.self_attn\.q_proj: not this one"
    ) as told:
        initialize(model, refuses, "mine")
    assert told.value.kind == "model"


@pytest.mark.parametrize("kind", ["fp32", "bf16", "nf4", "gpt2"])
def test_saved_factors_move_another_base_to_the_same_bits(kind, make_model, logits, tmp_path):
    options = {"r": 4, "init_lora_weights": "pissa"}
    first = attach_adapter(make_model(kind), "lora", options, Path(), seed=1)
    save_factors(first, tmp_path / "factors.safetensors")
    second = attach_adapter(make_model(kind), "lora", {"r": 4}, Path(), seed=2)
    initialize_from(second, load_factors(tmp_path / "factors.safetensors"))
    assert torch.equal(logits(first), logits(second))
    states = first.state_dict(), second.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    trained = [{name for name, p in model.named_parameters() if p.requires_grad} for model in (first, second)]
    assert trained[0] == trained[1]
    factors = initial_factors(second)
    assert all(torch.equal(factors[name].b, pair.b) for name, pair in initial_factors(first).items())


def test_factors_of_another_adapter_are_refused(make_model):
    factors = initial_factors(
        attach_adapter(make_model("fp32"), "lora", {"r": 4, "init_lora_weights": "pissa"}, Path(), 1)
    )
    with pytest.raises(UserError, match="another shape"):
        initialize_from(attach_adapter(make_model("fp32"), "lora", {"r": 3}, Path(), 1), factors)
    with pytest.raises(UserError, match="other layers"):
        initialize_from(attach_adapter(make_model("fp32"), "lora", {"target_modules": ["q_proj"]}, Path(), 1), factors)
