"""Where no targets are named, adapters go to what text passes; joined experts are initialised each, or left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter, restore_adapter
from sft.adapters.lora.targets import _all_linear
from sft.adapters.method import adapter_method
from sft.adapters.passing import PASSED_WHOLE, chooses_experts, passed_by_text
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.initialization.layers import adapter_layers, split_factors
from sft.models.library_warnings import noted_warnings
from sft.prompts.train_row import TrainRow

SHAPE = {"hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 50}
HEADS = {"intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1}
IDS = torch.arange(3, 13)[None]
ROWS = [TrainRow(tuple(range(4, 12)), (-100,) * 6 + (10, 11))] * 2
EXPERTS = ["base_model.model.model.layers.0.mlp.experts", "base_model.model.model.layers.0.mlp.experts.base_layer"]
LEFT_OUT = "the joined experts get no adapter: PEFT's adapters on them take no "
OF_PEFT = ("pissa", "pissa_niter_4", "olora", "orthogonal", "mica", "corda", "lora_ga")


@pytest.fixture
def make() -> Callable[..., Any]:
    import transformers

    def made(name: str = "Mixtral", **sizes: Any) -> Any:
        torch.manual_seed(3)
        config = getattr(transformers, f"{name}Config")(**SHAPE, **(sizes or {**HEADS, "num_local_experts": 3}))
        return getattr(transformers, f"{name}ForCausalLM")(config).eval()

    return made


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, use_cache=False).logits
    return found


def attached(model: Any, **options: Any) -> Any:
    return attach_adapter(model, "lora", {"r": 2, **options}, Path(), 1, ROWS).eval()


def learned(model: Any) -> Any:
    """The model with every trained tensor moved, so that each counts."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    return model


def targets(model: Any) -> set[str]:
    return {layer.name.removeprefix("base_model.model.") for layer in adapter_layers(model)}


def test_what_weighs_experts_has_no_adapter(make: Any) -> None:
    found = targets(attached(make()))
    assert not any("gate" in name for name in found)
    assert {name.removeprefix("base_model.model.") for name in EXPERTS} <= found
    assert len(found) == 4 + 2


def test_a_plain_model_is_not_even_run(make_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("fp32")
    monkeypatch.setattr(type(model), "forward", None)
    assert len(targets(attach_adapter(model, "lora", {}, Path(), 1))) == 2 * 7


@pytest.mark.parametrize("init", [True, "pissa"])
def test_what_a_model_answers_is_said_by_the_task_type(make_model: Any, tmp_path: Path, init: Any) -> None:
    options = {"task_type": "FEATURE_EXTRACTION", "init_lora_weights": init}
    model = attach_adapter(make_model("fp32"), "lora", options, Path(), 1)
    adapter_method("lora").save_start(model, options, tmp_path)
    again = restore_adapter(make_model("fp32"), "lora", options, tmp_path)
    for found in (model, again):
        assert type(found).__name__ == "PeftModelForFeatureExtraction"
        assert found.peft_config["default"].task_type == "FEATURE_EXTRACTION"


def test_repeated_layers_have_adapters_too(make: Any) -> None:
    sizes = {**HEADS, "num_local_experts": 3}
    found = targets(attached(make("Olmo2", **HEADS), layer_replication=[[0, 1], [0, 1]]))
    assert sum("layers.1." in name for name in found) == 7
    found = targets(attached(make("Mixtral", **sizes), layer_replication=[[0, 1], [0, 1]]))
    assert sum("layers.1." in name for name in found) == 6


@pytest.mark.unknown_library_warnings
@pytest.mark.parametrize(("key", "value"), [("lora_dropout", 0.1), ("use_dora", True), ("lora_bias", True)])
def test_experts_are_left_out_where_peft_takes_them_not(key: str, value: Any, make: Any) -> None:
    assert not any("experts" in name for name in targets(attached(make(), **{key: value})))
    assert noted_warnings() == [LEFT_OUT + key]


@pytest.mark.unknown_library_warnings
@pytest.mark.parametrize("name", OF_PEFT)
def test_initialisations_of_peft_leave_experts_out(name: str, make: Any, tmp_path: Path) -> None:
    before = logits(make())
    model = attached(make(), init_lora_weights=f"peft:{name}")
    assert not any("experts" in name for name in targets(model))
    assert noted_warnings() == [f"{LEFT_OUT}init_lora_weights {name}"]
    assert torch.allclose(logits(model), before, atol=1e-4)
    after = logits(learned(model))
    save_adapter(model, "lora", tmp_path / "adapter")
    assert torch.allclose(logits(load_adapter(make(), tmp_path / "adapter")), after, atol=1e-4)


@pytest.mark.parametrize("name", OF_PEFT)
@pytest.mark.parametrize("named", [{"target_modules": ["w1", "w3"]}, {"target_parameters": ["mlp.experts.down_proj"]}])
def test_initialisations_of_peft_on_experts_that_are_named(name: str, named: Any, make: Any) -> None:
    written = {"target_modules": ["q_proj"], **named, "init_lora_weights": f"peft:{name}"}
    with pytest.raises(UserError, match=f"^init_lora_weights {name} of PEFT knows linear layers only: ") as caught:
        attached(make(), **written)
    assert caught.value.kind == "model"


@pytest.mark.parametrize("name", ["pca", "pissa", "pissa_simplified"])
@pytest.mark.parametrize("scaling", [{}, {"lora_alpha": 32, "use_rslora": True}])
def test_each_expert_has_factors_of_its_own(name: str, scaling: Any, make: Any, tmp_path: Path) -> None:
    base = make()
    before, weights = logits(base), {key: value.clone() for key, value in base.state_dict().items()}
    with pytest.warns(UserWarning, match="untouched base") if name == "pissa_simplified" else _nothing():
        model = attached(base, init_lora_weights=name, **scaling)
    assert torch.allclose(logits(model), before, atol=1e-4) is (name != "pissa_simplified")
    for layer in adapter_layers(model):
        if layer.name not in EXPERTS:
            continue
        whole = weights[f"model.layers.0.mlp.experts.{layer.module.parameter_name}"]
        for weight, now, a, b in zip(whole, layer.base_weight, *split_factors(*layer.weights(), 3), strict=True):
            right = torch.linalg.svd(weight)[2][: layer.rank]
            assert torch.allclose((a @ right.T).norm(), a.norm(), atol=1e-4)
            taken = layer.scaling * b @ a if name == "pissa" else torch.zeros_like(weight)
            assert torch.allclose(now, weight - taken, atol=1e-5)
            assert b.any() == (name != "pca")
    after = logits(learned(model))
    save_adapter(model, "lora", tmp_path / "adapter")
    assert torch.allclose(logits(load_adapter(make(), tmp_path / "adapter")), after, atol=1e-4)


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


def test_a_training_on_experts_is_taken_up_again(make: Any, tmp_path: Path) -> None:
    options = {"r": 2, "init_lora_weights": "pissa"}
    model = attach_adapter(make(), "lora", options, Path(), 1)
    adapter_method("lora").save_start(model, options, tmp_path)
    again = restore_adapter(make(), "lora", options, tmp_path)
    assert all(one.equal(other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.unknown_library_warnings
def test_experts_of_16_bits_stay_as_they_were(make: Any, tmp_path: Path) -> None:
    before = logits(make().to(torch.bfloat16))
    model = attached(make().to(torch.bfloat16), init_lora_weights="pissa")
    assert noted_warnings() == ["init_lora_weights pissa leaves out joined experts that are not fp32 (dtype: float32)"]
    assert torch.allclose(logits(model), before, atol=2e-2)
    start = {layer.name: layer.copied_factors() for layer in adapter_layers(model)}
    assert {name for name, pair in start.items() if not pair.b.any()} == set(EXPERTS)
    after = logits(learned(model))
    save_adapter(model, "lora", tmp_path / "adapter")
    again = logits(load_adapter(make().to(torch.bfloat16), tmp_path / "adapter"))
    assert float((again - after).abs().max()) < 0.1 * float((after - before).abs().max())


def test_what_peft_refuses_is_told_of_the_model(make: Any) -> None:
    sizes = {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1, "chunk_size": 8}
    assert targets(attached(make("Mamba2", **sizes))) == {"backbone.layers.0.mixer.in_proj"}
    with pytest.raises(UserError, match="Module 'out_proj' is incompatible") as caught:
        attached(make("Mamba2", **sizes), target_modules=["out_proj"])
    assert (caught.value.kind, "\n" in str(caught.value)) == ("model", False)


def test_layers_whose_weights_are_read_past_them(make: Any) -> None:
    assert targets(attached(make("Mamba", state_size=4))) == {
        "backbone.layers.0.mixer.in_proj",
        "backbone.layers.0.mixer.x_proj",
    }


LLAMA4 = {**HEADS, "head_dim": 16, "intermediate_size_mlp": 24, "num_local_experts": 2}


@pytest.mark.unknown_library_warnings
def test_a_router_that_is_named(make: Any) -> None:
    from transformers import Llama4ForCausalLM, Llama4TextConfig

    base = Llama4ForCausalLM(Llama4TextConfig(**SHAPE, **LLAMA4)).eval()
    with pytest.raises(UserError, match=r"^target_modules takes \S+router, a Llama4Router, which ") as caught:
        attached(base, target_modules=["router"])
    assert caught.value.kind == "model"
    base = Llama4ForCausalLM(Llama4TextConfig(**SHAPE, **LLAMA4)).eval()
    assert len(targets(attached(base))) == 4 + 3
    assert noted_warnings() == [
        "the joined experts get no adapter: PEFT finds them only where target_parameters names them"
    ]


@pytest.mark.parametrize("kind", sorted(PASSED_WHOLE))
def test_of_some_kinds_text_passes_every_layer(kind: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    gpt2 = {"n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": 50}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(kind, **(gpt2 if kind == "gpt2" else {**SHAPE, **HEADS}), **ends)
    model = AutoModelForCausalLM.from_config(config).eval()
    whole = _all_linear(model, "CAUSAL_LM")
    assert len(whole) > 3
    assert passed_by_text(model, whole) == whole


@pytest.mark.parametrize(
    ("name", "chooses"), [("TinyTopKRouter", True), ("TinyMoeGate", True), ("TinyForgetGate", False), ("Mlp", False)]
)
def test_what_chooses_is_known_by_its_class(name: str, chooses: bool) -> None:
    part = type(name, (torch.nn.Module,), {})()
    part.inner = torch.nn.Linear(2, 2)
    model = torch.nn.Module()
    model.part = part
    assert chooses_experts(model, "part.inner") == chooses


@pytest.mark.unknown_library_warnings
def test_a_target_that_no_layer_has_beside_others_is_told(make_model: Any) -> None:
    attach_adapter(make_model("fp32"), "lora", {"target_modules": ["q_proj", "v_porj"]}, Path(), 1)
    (told,) = [text for text in noted_warnings() if "target_modules" in text]
    assert "['v_porj'] matches no layer of this model (did you mean v_proj?)" in told
