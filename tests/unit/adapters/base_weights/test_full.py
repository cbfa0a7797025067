"""All weights are trained: shared ones once, on fp32 masters, and none that are packed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.method import adapter_method
from sft.adapters.own_method import TENSORS_FILE
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM


def test_a_shared_weight_is_trained_and_saved_once(make_model, train_steps, logits, tmp_path):
    model = attach_adapter(make_model("gpt2"), "full", {}, Path(), 1)
    train_steps(model)
    assert model.lm_head.weight is model.transformer.wte.weight
    save_adapter(model, "full", tmp_path / "adapter")
    saved = load_file(tmp_path / "adapter" / TENSORS_FILE)
    assert set(saved) == {name for name, _ in make_model("gpt2").named_parameters()}
    loaded = load_adapter(make_model("gpt2"), tmp_path / "adapter")
    assert torch.equal(logits(loaded), logits(model))
    merged = adapter_method("full").merge(loaded)
    merged.save_pretrained(tmp_path / "merged")
    assert torch.equal(logits(type(merged).from_pretrained(tmp_path / "merged")), logits(model))


def test_a_training_is_gone_on_with_from_the_masters_and_not_from_what_16_bits_hold(make_model, train_steps, tmp_path):
    model = attach_adapter(make_model("bf16"), "full", {}, Path(), 1)
    train_steps(model)
    save_adapter(model, "full", tmp_path / "adapter")
    again = dict(continue_adapter(make_model("bf16"), "full", {}, tmp_path / "adapter").named_parameters())
    assert any(not torch.equal(weight, weight.bfloat16().float()) for weight in again.values())
    for name, weight in model.named_parameters():
        assert torch.equal(weight, again[name]), name


def test_packed_weights_are_refused_by_the_name_of_the_layer(make_model):
    with pytest.raises(UserError, match=r"full would train model.layers.0.self_attn.q_proj, .* bitsandbytes 4-bit"):
        attach_adapter(make_model("nf4"), "full", {}, Path(), 1)
    assert "stored as gptq are fixed" in (adapter_method("full").supports({}, "gptq", CAUSAL_LM) or "")


def test_it_takes_no_options_and_needs_no_word_of_the_head():
    (finding,) = adapter_method("full").check({"r": 4}, Path())
    assert finding == ("r", "unknown key; allowed: none")
    with pytest.raises(UserError, match="method full trains the head already; leave it out"):
        adapter_method("full").with_head({}, ["lm_head"])
