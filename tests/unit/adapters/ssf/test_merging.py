"""Scales and shifts in the weights: the merged model is loaded again and computes what the adapter computes."""

import pytest
import torch
from torch import nn

from sft.adapters.attach import attach_adapter
from sft.adapters.method import adapter_method
from sft.exceptions import UserError
from tests.unit.adapters.ssf.test_tuner import randomize


def gemma(**changes):
    from transformers import GemmaConfig, GemmaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    return GemmaForCausalLM(GemmaConfig(**sizes, head_dim=16, num_key_value_heads=2, vocab_size=99, **changes)).eval()


def qwen2():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    return Qwen2ForCausalLM(Qwen2Config(**sizes, num_key_value_heads=2, vocab_size=99)).eval()


@pytest.fixture
def trained(make_model, tmp_path):
    """A model with scales and shifts as large as none that is trained."""

    def attach(base, **options):
        model = make_model(base) if isinstance(base, str) else base
        return randomize(attach_adapter(model, "ssf", options, tmp_path, 0)).eval()

    return attach


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("base", "options", "tolerance"),
    [
        ("fp32", {}, 1e-4),
        ("gpt2", {}, 1e-4),
        pytest.param("fp32", {"shift": False}, 1e-4, marks=SLOW),
        pytest.param("fp32", {"targets": ["q_proj", "down_proj"]}, 1e-4, marks=SLOW),
        pytest.param("bf16", {}, 0.3, marks=SLOW),
        pytest.param(gemma, {"shift": False}, 1e-4, marks=SLOW),
        pytest.param(qwen2, {"targets": ["q_proj", "k_proj", "v_proj"]}, 1e-4, marks=SLOW),
    ],
)
def test_the_merged_model_computes_the_same_and_loads_again(trained, logits, tmp_path, base, options, tolerance):
    model = trained(base() if callable(base) else base, **options)
    wanted = logits(model)
    merged = adapter_method("ssf").merge(model)
    assert torch.allclose(logits(merged), wanted, atol=tolerance)
    assert not any("trained_part" in name for name in merged.state_dict())
    merged.save_pretrained(tmp_path / "merged")
    again, told = type(merged).from_pretrained(tmp_path / "merged", output_loading_info=True, dtype=merged.dtype)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    found = again.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in merged.state_dict().items())


@pytest.mark.parametrize(
    ("base", "options", "part"),
    [
        ("fp32", {"shift_norms": "all"}, "the norm model.layers.0.input_layernorm has no bias .* with_bias"),
        pytest.param("nf4", {"shift": False}, r"q_proj \(Linear4bit\) holds no plain floats", marks=SLOW),
        pytest.param(qwen2, {"targets": ["o_proj"]}, "o_proj has no bias .* Qwen2Config no setting", marks=SLOW),
    ],
)
def test_what_would_not_compute_the_same_is_refused_by_name(trained, logits, base, options, part):
    model = trained(base() if callable(base) else base, **options)
    before = logits(model)
    with pytest.raises(UserError, match=part):
        adapter_method("ssf").merge(model)
    assert torch.equal(logits(model), before)


def test_shared_weights_are_not_scaled_twice(trained, make_model):
    base = make_model("fp32")
    base.model.layers[1].mlp.up_proj.weight = base.model.layers[0].mlp.up_proj.weight
    with pytest.raises(UserError, match="up_proj shares its weights with another place"):
        adapter_method("ssf").merge(trained(base, shift=False))


def test_a_norm_that_does_otherwise_is_refused(trained, make_model):
    class CubingNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.full((64,), 2.0))

        def forward(self, rows):
            return rows * self.weight**3

    base = make_model("fp32")
    base.model.norm = CubingNorm()
    with pytest.raises(UserError, match="what CubingNorm makes of its weight is not known"):
        adapter_method("ssf").merge(trained(base, targets="norm", shift=False))
