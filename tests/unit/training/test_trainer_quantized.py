"""Training on 4- and 8-bit bases, where an adapter can stop learning without an error."""

import pytest
import torch

pytest.importorskip("bitsandbytes")

pytestmark = pytest.mark.slow


@pytest.fixture
def quantized(base, tmp_path):
    """The random model read back in 4 or 8 bits."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from sft.models.layers.bitsandbytes_layers import keep_weights_readable

    def load(kind):
        base.save_pretrained(tmp_path / "base")
        options = {"load_in_8bit": True} if kind == "int8" else {"load_in_4bit": True, "bnb_4bit_quant_type": kind}
        config = BitsAndBytesConfig(**options)
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "base", quantization_config=config, device_map="cpu")
        keep_weights_readable(model)
        return model

    return load


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_every_tensor_moves_in_full_precision(quantized, adapted, rows, train, kind):
    model = adapted(quantized(kind))
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    train(model, rows, {"max_steps": 3})
    after = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {p.dtype for p in after.values()} == {torch.float32}
    moved = {name: (after[name] != before[name]).float().mean().item() for name in after}
    assert min(moved.values()) > 0.95, "in bf16 hardly more than half of the elements move"


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_the_initial_values_are_not_rounded(quantized, adapted, rows, train, kind):
    model = adapted(quantized(kind))
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    train(model, rows, {"max_steps": 1, "learning_rate": 0.0})
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters() if name in before)


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_an_evaluation_in_between_does_not_stop_the_learning(quantized, adapted, rows, train, kind):
    model = adapted(quantized(kind))
    args = {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "eval_on_start": True}
    record = train(model, rows, args, dev_rows=rows[:4])
    assert len(record.eval_curve) == 3
    assert min(point.grad_norm for point in record.loss_curve) > 0.01


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_parts_that_are_not_pefts_are_trained_too(quantized, rows, train, tmp_path, kind):
    from sft.adapters.attach import attach_adapter

    model = attach_adapter(quantized(kind), "ssf", {}, tmp_path, 0)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    args = {"max_steps": 3, "eval_strategy": "steps", "eval_steps": 1, "eval_on_start": True, "learning_rate": 0.005}
    record = train(model, rows, {**args, "gradient_checkpointing": kind == "nf4"}, dev_rows=rows[:4])
    assert min(point.grad_norm for point in record.loss_curve) > 0.01
    after = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {p.dtype for p in after.values()} == {torch.float32}
    assert all((after[name] != tensor).all() for name, tensor in before.items())
    assert not vars(model).get("_hf_peft_config_loaded", False)
