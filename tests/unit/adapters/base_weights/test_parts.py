"""The parts nearest to the output and the weights that a text passes, held against what is known of each model."""

import pytest
import torch

from sft.adapters.base_weights.parts import block_stack, last_parts, passed_weights
from sft.exceptions import UserError

SIZES = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 99}
LLAMA = {**SIZES, "intermediate_size": 96, "num_key_value_heads": 2}
MODELS = [
    ("gpt2", {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 99}, ["transformer.h.2", "transformer.ln_f"]),
    (
        "opt",  # its norm lies before its blocks, and comes after them
        {**SIZES, "ffn_dim": 96, "word_embed_proj_dim": 32},
        ["model.decoder.layers.2", "model.decoder.final_layer_norm", "model.decoder.project_out"],
    ),
    pytest.param("llama", LLAMA, ["model.layers.2", "model.norm"], marks=pytest.mark.slow),
    pytest.param("gemma3_text", {**LLAMA, "head_dim": 16}, ["model.layers.2", "model.norm"], marks=pytest.mark.slow),
    pytest.param(
        "mixtral", {**LLAMA, "num_local_experts": 4}, ["model.layers.2", "model.norm"], marks=pytest.mark.slow
    ),
    pytest.param(
        "bloom",  # a norm right after the embedding is none of the last parts
        {"hidden_size": 64, "n_layer": 3, "n_head": 4, "vocab_size": 99},
        ["transformer.h.2", "transformer.ln_f"],
        marks=pytest.mark.slow,
    ),
]


def random_model(kind, options):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **options)).eval()


@pytest.mark.parametrize(("kind", "options", "expected"), MODELS)
@pytest.mark.filterwarnings("ignore")
def test_the_last_parts_are_the_last_blocks_and_what_comes_after_them(kind, options, expected):
    model = random_model(kind, options)
    assert [part.name for part in last_parts(model, 1)] == [*expected, "lm_head"]
    assert [part.name for part in last_parts(model, 0)] == [*expected[1:], "lm_head"]
    two = [part.name for part in last_parts(model, 2)]
    assert two == [expected[0].replace("2", "1"), *expected, "lm_head"]


@pytest.mark.parametrize(("kind", "options", "expected"), MODELS)
@pytest.mark.filterwarnings("ignore")
def test_a_text_passes_every_weight_of_a_language_model(kind, options, expected):
    model = random_model(kind, options)
    assert {id(weight) for weight in passed_weights(model)} == {id(weight) for weight in model.parameters()}


def test_weights_beside_the_text_are_not_passed(make_model):
    model = make_model("fp32")
    model.vision = torch.nn.Linear(3, 3)
    passed = {id(weight) for weight in passed_weights(model)}
    assert [name for name, weight in model.named_parameters() if id(weight) not in passed] == [
        "vision.weight",
        "vision.bias",
    ]


def test_a_model_without_blocks_is_refused(make_model):
    model = make_model("fp32")
    model.model.layers = torch.nn.Sequential(*model.model.layers)
    with pytest.raises(UserError, match="LlamaForCausalLM has no list of blocks"):
        block_stack(model)
