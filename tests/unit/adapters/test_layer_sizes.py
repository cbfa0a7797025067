"""What is told of layers by the config alone is what the models have."""

from typing import Any

import pytest

from sft.adapters.layer_sizes import (
    LLAMA_LIKE,
    known_layers,
    known_norms,
    other_layers,
    rank_fault,
    ranks_of,
    targeted,
    unmatched_targets,
)
from sft.adapters.method import adapter_method

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 9,
    "pad_token_id": None,
}
LLAMA = {**SIZES, "model_type": "llama", "num_hidden_layers": 1}


def config_of(kind: str, **changes: Any) -> Any:
    from transformers import AutoConfig

    sizes: dict[str, Any] = {"n_embd": 24, "n_layer": 2, "n_head": 4, "vocab_size": 9} if kind == "gpt2" else SIZES
    return AutoConfig.for_model(kind, **{**sizes, **changes})


@pytest.mark.parametrize("kind", [*LLAMA_LIKE, "phi3", "gpt2"])
def test_names_and_sizes_are_those_of_the_model(kind: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    config = config_of(kind)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    expected = {}
    for name, module in model.named_modules():
        if type(module).__name__ in ("Linear", "Conv1D") and name != "lm_head":
            rows, columns = module.weight.shape
            expected[name] = (columns, rows) if type(module).__name__ == "Conv1D" else (rows, columns)
    assert known_layers(config.to_dict()) == expected
    assert set(other_layers(config.to_dict())) <= {name for name, _ in model.named_modules()}
    norms = {name for name, module in model.named_modules() if "Norm" in type(module).__name__}
    assert set(known_norms(config.to_dict())) == norms
    # A file leaves out what is the class's default, which is then unknown; what is known must be right.
    assert known_layers(config.to_diff_dict()) in ({}, expected)


@pytest.mark.parametrize("changes", [{"model_type": "mamba"}, {"text_config": {}}, {"hidden_size": None}])
def test_what_is_not_known_is_left_to_the_attached_model(changes: dict[str, Any]) -> None:
    assert known_layers({**LLAMA, **changes}) == {}
    assert adapter_method("lora").check_on_model({"r": 999, "target_modules": ["x"]}, {**LLAMA, **changes}) == []


@pytest.mark.parametrize(
    ("options", "leaves"),
    [
        ({}, "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj"),
        (
            {"target_modules": "all-linear", "exclude_modules": ["mlp.up_proj", "q_proj"]},
            "down_proj gate_proj k_proj o_proj v_proj",
        ),
        ({"target_modules": ["self_attn.q_proj", "proj"]}, "q_proj"),
        ({"target_modules": r".*\.[kv]_proj", "modules_to_save": ["v_proj"]}, "k_proj"),
        ({"target_modules": "q_proj"}, ""),
    ],
)
def test_targets_are_read_as_peft_reads_them(options: dict[str, Any], leaves: str) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    sizes = known_layers(LLAMA)
    found = targeted(options, sizes)
    assert sorted(name.rpartition(".")[2] for name in found) == leaves.split()
    if not leaves:
        return
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config_of("llama", num_hidden_layers=1))
        attached = get_peft_model(model, LoraConfig(**{"target_modules": "all-linear", **options}))
    assert set(attached.base_model.targeted_module_names) == set(found)


def test_a_rank_above_a_layer_is_told_with_what_fits() -> None:
    (told,) = adapter_method("lora").check_on_model({"r": 16}, LLAMA)
    text = "16, above the size of layer model.layers.0.self_attn.k_proj, 12 x 24 (outputs x inputs)"
    rest = "the largest rank for all is 12, or write rank_pattern: {'k_proj|v_proj': 12}"
    assert told == ("r", f"{text}; {rest}")
    assert adapter_method("dora").check_on_model({"r": 12}, LLAMA) == []
    assert adapter_method("lora").check_on_model({"r": 16, "rank_pattern": {"k_proj|v_proj": 12}}, LLAMA) == []
    assert adapter_method("lora").check_on_model({"r": 16, "target_modules": ["q_proj"]}, LLAMA) == []


def test_ranks_follow_the_first_pattern() -> None:
    names = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"]
    found = ranks_of({"rank_pattern": {"self_attn.q_proj": 3, "q_proj": 5}}, names, 8)
    assert list(found.values()) == [3, 8]
    assert rank_fault(found, dict.fromkeys(names, (8, 8))) is None
    assert rank_fault(found, dict.fromkeys(names, (8, 7))) is not None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            ["q_porj"],
            "['q_porj'] matches no layer of this model (did you mean q_proj?); it has down_proj",
        ),
        ("q_proj", "'q_proj' matches no layer of this model (did you mean q_proj?); it has"),
        (["c_attn"], "['c_attn'] matches no layer of this model; it has down_proj"),
        (["embed_tokens"], None),
        ("all-linear", None),
        (["q_porj", "v_proj"], None),
        (r".*q_proj", None),
    ],
    ids=str,
)
def test_targets_that_match_nothing_are_told_with_candidates(written: Any, expected: str | None) -> None:
    found = adapter_method("lora").check_on_model({"target_modules": written}, LLAMA)
    assert [path for path, _ in found] == ([] if expected is None else ["target_modules"])
    assert expected is None or found[0].message.startswith(expected)
    assert unmatched_targets({"target_modules": written}, []) is None
