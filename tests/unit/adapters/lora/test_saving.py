"""What is measured is the saved adapter: the folder on the untouched base must be the trained model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.lora.saving import _refactored
from sft.adapters.parameters import count_parameters
from sft.adapters.peft.folder import load_peft
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError

EXACT = 2e-4


def trained(make_model, train_steps, kind, options, folder=Path()):
    model = attach_adapter(make_model(kind), "lora", options, folder, seed=7)
    assert train_steps(model)[-1] < 100
    return model


@pytest.mark.parametrize(
    ("kind", "options", "exported"),
    [
        ("fp32", {}, 8),
        ("fp32", {"init_lora_weights": "pca", "use_dora": True}, 8),
        ("fp32", {"init_lora_weights": "gaussian", "bias": "all"}, 8),
        ("fp32", {"init_lora_weights": "orthogonal", "r": 4}, 4),
        ("fp32", {"init_lora_weights": "mica", "r": 4}, 4),
        ("fp32", {"init_lora_weights": "pissa", "lora_alpha": 16, "lora_dropout": 0.1}, 16),
        ("fp32", {"init_lora_weights": "pissa", "use_rslora": True, "r": 4, "lora_alpha": 3}, 8),
        ("fp32", {"init_lora_weights": "pissa", "use_dora": True}, 16),
        ("fp32", {"init_lora_weights": "pissa", "rank_pattern": {"q_proj": 3}, "alpha_pattern": {"v_proj": 2}}, 16),
        ("fp32", {"init_lora_weights": "pissa", "modules_to_save": ["lm_head"]}, 16),
        ("fp32", {"init_lora_weights": "pissa", "trainable_token_indices": [3, 4]}, 16),
        ("fp32", {"init_lora_weights": "pissa", "target_modules": ["q_proj"], "layers_to_transform": [1]}, 16),
        ("fp32", {"init_lora_weights": "pissa_simplified", "lora_alpha": 2}, 8),
        ("fp32", {"init_lora_weights": "milora", "lora_alpha": 16}, 16),
        ("fp32", {"init_lora_weights": "olora", "r": 4}, 8),
        ("fp32", {"init_lora_weights": "peft:pissa", "lora_alpha": 5}, 16),
        ("fp32", {"init_lora_weights": "pissa_niter_4", "r": 4}, 8),
        ("gpt2", {"init_lora_weights": "pissa", "bias": "all"}, 16),
        ("gpt2", {"init_lora_weights": "pca", "bias": "lora_only"}, 8),
        ("nf4", {"init_lora_weights": "pissa", "lora_alpha": 16}, 16),
        ("nf4", {"init_lora_weights": "milora", "r": 4}, 8),
        ("nf4", {"init_lora_weights": "pca", "use_dora": True}, 8),
        ("nf4", {"init_lora_weights": "pissa", "use_dora": True, "lora_alpha": 16}, 16),
        *(
            pytest.param("bf16", {"init_lora_weights": name, "use_dora": True}, 16, marks=pytest.mark.slow)
            for name in ("pissa", "peft:pissa")
        ),
        ("int8", {"init_lora_weights": "pissa", "use_rslora": True}, 16),
        ("int8", {"use_dora": True}, 8),
        ("bf16", {"init_lora_weights": "pissa"}, 16),
        ("nf4", {"init_lora_weights": "mica", "r": 4}, 4),
        ("nf4", {"init_lora_weights": "orthogonal", "r": 4}, 4),
        ("nf4", {"init_lora_weights": "olora", "r": 4, "lora_alpha": 6}, 8),
        ("int8", {"init_lora_weights": "olora", "r": 4, "use_dora": True}, 8),
        ("gpt2", {"init_lora_weights": "olora", "r": 4}, 8),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_plain_peft_loads_the_trained_model(kind, options, exported, make_model, train_steps, logits, tmp_path):
    before = logits(make_model(kind))
    model = trained(make_model, train_steps, kind, options)
    expected = logits(model)
    assert save_adapter(model, "lora", tmp_path / "adapter") == {"exported_rank": exported}
    loaded = PeftModel.from_pretrained(make_model(kind), tmp_path / "adapter")
    apart = (logits(loaded) - expected).abs()
    # An int8 layer rounds its input to 256 steps: the last bit of a float now and then moves one of them.
    assert apart.max() < (0.15 if kind in ("bf16", "int8") else EXACT)
    assert apart.median() < (0.05 if kind == "bf16" else EXACT)
    assert (before - expected).abs().max() > 10 * EXACT


def test_a_small_change_of_large_factors_is_exported_without_cancellation():
    """The change is 1e-4 of what the base was moved by: as a difference of two products it would lose four digits."""
    torch.manual_seed(0)
    start_a, start_b = torch.randn(4, 40) * 30, torch.randn(24, 4) * 30
    a, b = start_a + 1e-4 * torch.randn(4, 40), start_b + 1e-4 * torch.randn(24, 4)
    change = b.double() @ a.double() - start_b.double() @ start_a.double()
    wide_a, wide_b = torch.cat([a, start_a]).double(), torch.cat([b, -start_b], dim=1).double()
    new_a, new_b = (factor.float() for factor in _refactored(wide_a, wide_b))
    assert (new_a.shape, new_b.shape) == ((8, 40), (24, 8))
    x = torch.randn(40)

    def off(first: torch.Tensor, second: torch.Tensor) -> float:
        return float((first @ (second @ x) - change @ x.double()).norm() / (change @ x.double()).norm())

    assert off(new_b, new_a) < 1e-6
    assert off(torch.cat([b, -start_b], dim=1), torch.cat([a, start_a])) > 1e-4


def test_a_layer_narrower_than_twice_the_rank_keeps_the_shapes():
    torch.manual_seed(0)
    a, b = torch.randn(8, 6).double(), torch.randn(5, 8).double()
    new_a, new_b = _refactored(a, b)
    assert (new_a.shape, new_b.shape) == (a.shape, b.shape)
    assert torch.allclose(new_b @ new_a, b @ a)


def test_a_saved_adapter_has_the_same_bytes_whenever_it_is_saved(make_model, train_steps, tmp_path):
    model = trained(make_model, train_steps, "fp32", {"init_lora_weights": "pissa"})
    save_adapter(model, "lora", tmp_path / "one")
    save_adapter(model, "lora", tmp_path / "two")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["init_lora_weights"] is True
    mode = (tmp_path / "one" / "adapter_config.json").stat().st_mode
    assert (tmp_path / "one" / "adapter_model.safetensors").stat().st_mode == mode


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(make_model):
    first, again, other = (
        attach_adapter(make_model("fp32"), "lora", {}, Path(), seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_continuing_starts_from_the_trained_model_and_trains_it(make_model, train_steps, logits, tmp_path):
    model = trained(make_model, train_steps, "fp32", {"init_lora_weights": "pissa", "lora_alpha": 16})
    save_adapter(model, "lora", tmp_path / "adapter")
    options = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.25, "target_modules": "all-linear"}
    taken_up = continue_adapter(make_model("fp32"), "lora", options, tmp_path / "adapter")
    assert (logits(taken_up) - logits(model)).abs().max() < EXACT
    assert any(module.p == 0.25 for module in taken_up.modules() if isinstance(module, torch.nn.Dropout))
    losses = train_steps(taken_up, rate=1e-3)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "r is 8, as it is left out, but model.adapter has exported_rank 16; write r: 16"),
        ({"r": 16, "lora_alpha": 16}, "lora_alpha is 16, but model.adapter has lora_alpha 32"),
        ({"r": 16, "target_modules": ["q_proj"]}, "target_modules"),
        ({"r": 16, "init_lora_weights": "pca"}, "init_lora_weights"),
    ],
)
def test_continuing_with_another_shape_is_an_error(options, message, make_model, tmp_path):
    model = attach_adapter(make_model("fp32"), "lora", {"init_lora_weights": "pissa", "lora_alpha": 16}, Path(), 1)
    save_adapter(model, "lora", tmp_path / "adapter")
    with pytest.raises(UserError, match=message):
        continue_adapter(make_model("fp32"), "lora", options, tmp_path / "adapter")


def test_loading_needs_an_adapter_in_safetensors_that_fits(make_model, tmp_path):
    with pytest.raises(UserError, match=r"holds no trained adapter: it has no adapter_config\.json"):
        load_adapter(make_model("fp32"), tmp_path)
    save_adapter(attach_adapter(make_model("fp32"), "lora", {}, Path(), 1), "lora", tmp_path / "adapter")
    with pytest.raises(UserError, match="does not fit the model"):
        load_adapter(make_model("gpt2"), tmp_path / "adapter")
    pickled = shutil.copytree(tmp_path / "adapter", tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    with pytest.raises(UserError, match="only safetensors are read"):
        load_adapter(make_model("fp32"), pickled)


def test_a_loaded_adapter_trains_only_when_asked(make_model, tmp_path):
    save_adapter(attach_adapter(make_model("fp32"), "lora", {}, Path(), 1), "lora", tmp_path / "adapter")
    measured = load_adapter(make_model("fp32"), tmp_path / "adapter")
    assert count_parameters(measured).trainable == 0
    assert not measured.training
    assert count_parameters(load_peft(make_model("fp32"), tmp_path / "adapter", trainable=True)).trainable > 0


@pytest.mark.parametrize("kind", ["fp32", "nf4", "int8"])
def test_counts_are_of_real_numbers_on_any_base(kind, make_model):
    base = count_parameters(make_model("fp32")).total
    model = attach_adapter(make_model(kind), "lora", {"init_lora_weights": "pissa", "r": 2}, Path(), 1)
    adapter = sum(p.numel() for n, p in model.named_parameters() if ".default." in n)
    assert count_parameters(model) == (adapter, base + adapter)


def test_options_that_do_not_fit_the_model_are_told(make_model):
    for kind, options, message in [
        (
            "fp32",
            {"target_modules": ["nowhere"]},
            r"target_modules: \['nowhere'\] matches no layer of this model; ",
        ),
        ("fp32", {"target_modules": ["q_porj"]}, r"matches no layer of this model \(did you mean q_proj\?\); it has"),
        ("fp32", {"target_modules": ["embed_tokens"], "init_lora_weights": "pca"}, "linear layers only"),
        ("fp32", {"r": 65, "init_lora_weights": "pca"}, r"r: 65, above the size of layer model\.layers\.0\.\S+, "),
        ("fp32", {"rank_pattern": {"k_proj": 33}}, r"rank_pattern: 33, above the size of layer \S+k_proj, 32 x 64"),
    ]:
        with pytest.raises(UserError, match=message):
            attach_adapter(make_model(kind), "lora", options, Path(), 1)
    with pytest.raises(UserError, match="nothing is trained"):
        attach_adapter(make_model("fp32"), "none", {}, Path(), 1)


def test_a_seed_above_what_numpy_takes_is_folded(make_model):
    large, folded = (attach_adapter(make_model("fp32"), "lora", {}, Path(), seed=seed) for seed in (2**40 + 3, 3))
    assert all(torch.equal(tensor, folded.state_dict()[name]) for name, tensor in large.state_dict().items())
