"""Bottleneck adapters against the same written out with hooks, and their places in many kinds of models."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.bottleneck.method import METHOD
from sft.adapters.bottleneck.tuner import adapter_places
from sft.adapters.output_parts import PART, parts_of
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError

SLOW = pytest.mark.slow
SIZES = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
OF_GPT = {"n_embd": 32, "n_layer": 1, "n_head": 4, "vocab_size": 99}
OF_T5 = {"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4}
PLACES: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("Llama", "ForCausalLM", SIZES, "self_attn.o_proj", "mlp.down_proj"),
    ("GPT2", "LMHeadModel", OF_GPT, "attn.c_proj", "mlp.c_proj"),
    ("Qwen2", "ForCausalLM", SIZES, "self_attn.o_proj", "mlp.down_proj"),
    ("Gemma2", "ForCausalLM", {**SIZES, "head_dim": 8}, "self_attn.o_proj", "mlp.down_proj"),
    ("Phi", "ForCausalLM", SIZES, "self_attn.dense", "mlp.fc2"),
    ("GPTNeoX", "ForCausalLM", SIZES, "attention.dense", "mlp.dense_4h_to_h"),
    ("OPT", "ForCausalLM", {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32}, "self_attn.out_proj", "fc2"),
    ("Bloom", "ForCausalLM", {**SIZES, "n_layer": 1, "n_head": 4}, "self_attention.dense", "mlp.dense_4h_to_h"),
    ("Mixtral", "ForCausalLM", {**SIZES, "num_local_experts": 4}, "self_attn.o_proj", "mlp"),
    ("GptOss", "ForCausalLM", {**SIZES, "head_dim": 8, "num_local_experts": 4}, "self_attn.o_proj", "mlp"),
    ("Bert", "ForSequenceClassification", SIZES, "attention.output.dense", "0.output.dense"),
    ("Albert", "ForSequenceClassification", {**SIZES, "embedding_size": 16}, "attention.dense", "ffn_output"),
    ("ModernBert", "ForSequenceClassification", {**SIZES, "pad_token_id": 0}, "attn.Wo", "mlp.Wo"),
]


@pytest.fixture
def attached(make_model, tmp_path):
    def attach(kind, **options):
        return attach_adapter(make_model(kind), "bottleneck", {"task_type": "CAUSAL_LM", **options}, tmp_path, 0)

    return attach


def randomize(model):
    generator = torch.Generator().manual_seed(7)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


@pytest.mark.parametrize("kind", ["fp32", pytest.param("gpt2", marks=SLOW)])
def test_it_computes_what_hooks_that_are_written_out_compute(attached, make_model, logits, kind):
    model, plain = attached(kind, reduction_factor=8, non_linearity="tanh", scaling=2.0), make_model(kind)
    assert torch.equal(logits(model), logits(plain))
    tensors = METHOD.own_tensors(randomize(model))
    for name, layer in list(plain.named_modules()):
        if f"{name}.{PART}.up.weight" not in tensors:
            continue

        def hook(_layer, _given, found, name=name):
            down, below, up, above = (
                tensors[f"{name}.{PART}.{place}.{kind}"] for place in ("down", "up") for kind in ("weight", "bias")
            )
            assert down.shape == (8, 64)
            return found + 2.0 * (torch.tanh(found @ down.T + below) @ up.T + above)

        layer.register_forward_hook(hook)
    assert torch.allclose(logits(model), logits(plain), atol=1e-4)
    assert not torch.allclose(logits(model), logits(make_model(kind)), atol=0.1)


@pytest.mark.parametrize("kind", ["fp32", *(pytest.param(kind, marks=SLOW) for kind in ("bf16", "nf4", "int8"))])
def test_a_trained_one_is_read_back_to_the_last_bit(attached, make_model, logits, train_steps, tmp_path, kind):
    model = attached(kind)
    before = {name: tensor.clone() for name, tensor in METHOD.own_tensors(model).items()}
    assert {tensor.dtype for tensor in before.values()} == {torch.float32}
    train_steps(model, steps=3)
    assert all(not torch.equal(METHOD.own_tensors(model)[name], tensor) for name, tensor in before.items())
    save_adapter(model, "bottleneck", tmp_path / "adapter")
    again = load_adapter(make_model(kind), tmp_path / "adapter")
    assert torch.equal(logits(again), logits(model))


@pytest.mark.parametrize(
    ("after", "expected"),
    [("both", {"o_proj", "down_proj"}), ("attention", {"o_proj"}), ("feed_forward", {"down_proj"})],
)
def test_it_goes_where_it_is_asked_for(attached, after, expected):
    places = parts_of(attached("fp32", after=after))
    assert {name.rpartition(".")[2] for name in places} == expected
    assert len(places) == 2 * len(expected)


@pytest.mark.parametrize(
    ("kind", "architecture", "settings", "attention", "feed_forward"),
    [
        pytest.param(*case, id=case[0], marks=() if case[0] in ("Llama", "Mixtral", "Bert") else SLOW)
        for case in PLACES
    ],
)
def test_the_places_are_found_in(
    kind: str, architecture: str, settings: dict[str, Any], attention: str, feed_forward: str, tmp_path: Path
) -> None:
    import transformers

    torch.manual_seed(0)
    model: Any = getattr(transformers, kind + architecture)(getattr(transformers, f"{kind}Config")(**settings)).eval()
    found = adapter_places(model)
    assert [name.endswith(f".{attention}") for name in found["attention"]] == [True]
    assert [name.endswith(f".{feed_forward}") for name in found["feed_forward"]] == [True]
    ids = torch.arange(2, 22).reshape(2, 10)
    with torch.no_grad():
        plain = model(input_ids=ids).logits
        adapted = attach_adapter(model, "bottleneck", {}, tmp_path, 0).eval()
        assert torch.equal(adapted(input_ids=ids).logits, plain)
        assert not torch.equal(randomize(adapted)(input_ids=ids).logits, plain)


@SLOW
def test_both_halves_of_a_model_have_them(tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    model = T5ForConditionalGeneration(T5Config(**OF_T5, decoder_start_token_id=0)).eval()
    places = adapter_places(model)
    assert [name.split(".")[0] for name in places["attention"]] == ["encoder", "decoder", "decoder"]
    assert [name.split(".")[0] for name in places["feed_forward"]] == ["encoder", "decoder"]


def test_models_without_such_a_place_are_told(make_model, tmp_path):
    from transformers import MambaConfig, MambaForCausalLM

    model = MambaForCausalLM(MambaConfig(vocab_size=99, hidden_size=32, num_hidden_layers=1)).eval()
    with pytest.raises(UserError, match="MambaForCausalLM has no attention that is known; feed_forward is"):
        attach_adapter(model, "bottleneck", {}, tmp_path, 0)


def test_an_adapter_of_no_unit_is_refused(attached, tmp_path):
    with pytest.raises(UserError, match=r"reduction_factor 65.0 is more than the 64 units of model.layers.0"):
        attached("fp32", reduction_factor=65.0)
    found = METHOD.check_on_model({"reduction_factor": 65}, {"hidden_size": 64})
    assert [finding.path for finding in found] == ["reduction_factor"]
    assert METHOD.check({"reduction_factor": 0.5}, tmp_path)[0].path == "reduction_factor"


def test_it_goes_with_a_cache_and_with_recomputed_activations(attached, logits, train_steps):
    from tests.unit.conftest import IDS

    plain, thrifty = randomize(attached("fp32")), randomize(attached("fp32"))
    step_by_step = plain.generate(IDS, max_new_tokens=4, do_sample=False, use_cache=True, pad_token_id=0)
    at_once = plain.generate(IDS, max_new_tokens=4, do_sample=False, use_cache=False, pad_token_id=0)
    assert torch.equal(step_by_step, at_once)
    thrifty.gradient_checkpointing_enable()
    assert train_steps(thrifty) == pytest.approx(train_steps(plain), abs=1e-5)
    assert torch.allclose(logits(thrifty), logits(plain), atol=1e-4)
