"""An adapter that does not fit the model is refused, naming what is missing on either side; every other one loads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError

Tensors = dict[str, torch.Tensor]
DORA = {"use_dora": True, "modules_to_save": ["lm_head"], "r": 2}


def renamed(tensors: Tensors) -> Tensors:
    return {key.replace("model.layers", "model.language_model.layers"): value for key, value in tensors.items()}


def without(part: str) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        first = next(key for key in tensors if part in key)
        return {key: value for key, value in tensors.items() if key != first}

    return change


def with_a_third_layer(tensors: Tensors) -> Tensors:
    return tensors | {key.replace("layers.1", "layers.2"): value.clone() for key, value in tensors.items()}


def narrower(tensors: Tensors) -> Tensors:
    return {key: value[:1].clone() if "lora_A" in key else value for key, value in tensors.items()}


@pytest.fixture
def change(make_model: Any, tmp_path: Path) -> Callable[..., Path]:
    """Saves an adapter of the tiny Llama, and its tensors changed."""
    from safetensors.torch import load_file, save_file

    def made(options: dict[str, Any], how: Callable[[Tensors], Tensors]) -> Path:
        save_adapter(attach_adapter(make_model("fp32"), "lora", options, Path(), 1), "lora", tmp_path)
        file = tmp_path / "adapter_model.safetensors"
        save_file(how(load_file(file)), file, metadata={"format": "pt"})
        return tmp_path

    return made


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            renamed,
            r"the adapter has no \S+model\.layers\.0\.\S+ \(nor 41 more\), and the model has no \S+language_model",
        ),
        (without("layers.1.self_attn.q_proj.lora_A"), r"the adapter has no \S+layers\.1\.self_attn\.q_proj\.lora_A"),
        (without("lora_magnitude"), r"the adapter has no \S+lora_magnitude_vector$"),
        (without("lm_head"), r"the adapter has no base_model\.model\.lm_head"),
        (with_a_third_layer, r"fit the model: the model has no \S+layers\.2\.\S+ \(nor 20 more\)$"),
        (
            narrower,
            r"lora_A\.default\.weight is of shape \[1, 64\] in the adapter and of \[2, 64\] in the model \(and 13",
        ),
    ],
)
@pytest.mark.parametrize("continuing", [False, True])
def test_an_adapter_that_does_not_fit(how: Any, told: str, continuing: bool, change: Any, make_model: Any):
    folder = change(DORA, how)
    load = (lambda model: continue_adapter(model, "lora", DORA, folder)) if continuing else None
    with pytest.raises(UserError, match=told) as caught:
        (load or (lambda model: load_adapter(model, folder)))(make_model("fp32"))
    assert "\n" not in str(caught.value)


def test_an_adapter_of_fewer_layers_than_the_model(change: Any, make_model: Any):
    folder = change({"r": 2}, lambda tensors: {key: value for key, value in tensors.items() if "layers.0" in key})
    with pytest.raises(UserError, match=r"the adapter has no \S+layers\.1\."):
        load_adapter(make_model("fp32"), folder)


@pytest.mark.parametrize(("option", "value"), [("use_novelty", True), ("novelty", {"kind": "other"})])
def test_an_option_that_peft_would_leave_out(option: str, value: Any, change: Any, make_model: Any):
    folder = change({"r": 2}, dict)
    file = folder / "adapter_config.json"
    saved = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(saved | {option: value}), "utf-8")
    with pytest.raises(UserError, match=f"has the option {option}: .* which PEFT"):
        load_adapter(make_model("fp32"), folder)
    file.write_text(json.dumps(saved | {option: None}), "utf-8")
    load_adapter(make_model("fp32"), folder)


def lora(**options: Any) -> Any:
    from peft import LoraConfig

    return LoraConfig(**{"task_type": "CAUSAL_LM", "target_modules": "all-linear", "r": 2, **options})


def of_another_method(name: str, **options: Any) -> Any:
    import peft

    return getattr(peft, name)(task_type="CAUSAL_LM", **options)


PLAIN: dict[str, Callable[[], Any]] = {
    "lora": lora,
    "dora": lambda: lora(use_dora=True),
    "biases": lambda: lora(bias="all"),
    "head and embeddings": lambda: lora(modules_to_save=["lm_head", "embed_tokens"]),
    "tokens": lambda: lora(trainable_token_indices=[1, 5]),
    "an embedding's factors": lambda: lora(target_modules=["embed_tokens", "q_proj"]),
    "one layer": lambda: lora(target_modules=["q_proj"], layers_to_transform=[1]),
    "replicated layers": lambda: lora(layer_replication=[[0, 2], [1, 2]]),
    "parameters": lambda: lora(target_modules=[], target_parameters=["self_attn.q_proj.weight"]),
    "ia3": lambda: of_another_method("IA3Config", target_modules=["k_proj"], feedforward_modules=[]),
    "vera": lambda: of_another_method("VeraConfig", r=4, target_modules=["q_proj"]),
    "adalora": lambda: of_another_method("AdaLoraConfig", target_modules=["q_proj"], total_step=9),
    "prompt": lambda: of_another_method("PromptTuningConfig", num_virtual_tokens=3),
    "prefix": lambda: of_another_method("PrefixTuningConfig", num_virtual_tokens=3),
    "parameters that match nothing": lambda: lora(target_modules=["q_proj"], target_parameters=["experts.down_proj"]),
    "vblora": lambda: of_another_method(
        "VBLoRAConfig", target_modules=["q_proj"], num_vectors=8, vector_length=8, topk=2
    ),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_whatever_plain_peft_saved_loads(kind: str, make_model: Any, tmp_path: Path):
    from peft import get_peft_model

    saved = get_peft_model(make_model("fp32"), PLAIN[kind]())
    saved.save_pretrained(tmp_path)
    load_adapter(make_model("fp32"), tmp_path)


@pytest.fixture
def make_mixtral() -> Callable[[], Any]:
    from transformers import MixtralConfig, MixtralForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = MixtralConfig(**sizes, num_key_value_heads=1, num_local_experts=2, vocab_size=50)
    return lambda: MixtralForCausalLM(config)


EXPERTS = {"target_modules": ["q_proj"], "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]}


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["q_proj"]},
        {},
        {"target_modules": ["w1", "w2", "w3"]},
        {**EXPERTS, "rank_pattern": {"experts.gate_up_proj": 3}, "alpha_pattern": {"down_proj": 5}},
    ],
)
def test_adapters_on_joined_experts(options: dict[str, Any], make_mixtral: Callable[[], Any], tmp_path: Path):
    """PEFT doubles the rank of joined projections by a pattern, and warns that this pattern matched no module."""
    from peft import get_peft_model

    get_peft_model(make_mixtral(), lora(**options)).save_pretrained(tmp_path / "plain")
    load_adapter(make_mixtral(), tmp_path / "plain")
    save_adapter(attach_adapter(make_mixtral(), "lora", {"r": 2, **options}, Path(), 1), "lora", tmp_path / "ours")
    load_adapter(make_mixtral(), tmp_path / "ours")


@pytest.mark.parametrize("option", ["rank_pattern", "alpha_pattern"])
def test_a_pattern_that_nothing_matches(option: str, make_mixtral: Callable[[], Any]):
    options = {**EXPERTS, option: {"experts.gate_up_proj": 4, "up_projection": 3}}
    with pytest.raises(UserError, match=f"^{option} 'up_projection' matches no layer with an adapter$"):
        attach_adapter(make_mixtral(), "lora", options, Path(), 1)


def test_the_scaling_of_a_layer_that_the_model_does_not_have(change: Any, make_model: Any):
    folder = change({"r": 2}, dict)
    file = folder / "adapter_config.json"
    saved = json.loads(file.read_text("utf-8")) | {"alpha_pattern": {"blocks.0.mlp.up_proj": 3}}
    file.write_text(json.dumps(saved), "utf-8")
    with pytest.raises(UserError, match=r"alpha_pattern 'blocks\.0\.mlp\.up_proj' matches no layer"):
        load_adapter(make_model("fp32"), folder)
