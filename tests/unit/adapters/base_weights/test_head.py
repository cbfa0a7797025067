"""The output head gets weights of its own where it shared those of the embedding, and what is saved says so."""

from pathlib import Path

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.base_weights.head import train_head, untied_head
from sft.adapters.method import adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.models.answering.heads import head_names


def reloaded(model, folder):
    model.save_pretrained(folder)
    return type(model).from_pretrained(folder)


def test_an_untied_head_has_weights_of_its_own_also_when_it_is_loaded_again(make_model, logits, tmp_path):
    model = make_model("gpt2")
    before, embedding = logits(model), model.transformer.wte.weight.clone()
    ((_, head),) = untied_head(model)
    assert torch.equal(logits(model), before)
    head.weight.data += 1
    assert torch.equal(model.transformer.wte.weight, embedding)
    again = reloaded(model, tmp_path)
    assert torch.equal(logits(again), logits(model))
    assert again.config.tie_word_embeddings is False


def test_a_head_of_its_own_stays_as_it_is(make_model):
    model = make_model("fp32")
    weight = model.lm_head.weight
    ((_, head),) = untied_head(model)
    assert head.weight is weight
    assert head_names(model) == ["lm_head"]


def test_a_model_without_a_head_is_refused(make_model):
    with pytest.raises(UserError, match="LlamaModel has no output head"):
        head_names(make_model("fp32").model)


def test_a_packed_head_is_refused_by_name(make_model):
    model = make_model("nf4")
    model.lm_head = make_model("nf4").model.layers[0].mlp.up_proj
    with pytest.raises(UserError, match="ssf would train lm_head, whose weights are stored as bitsandbytes 4-bit"):
        train_head(model, "ssf")


@pytest.mark.parametrize("method", ["lora", pytest.param("ssf", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")
def test_the_trained_head_of_a_tied_model_survives_merging_and_loading(
    method, make_model, logits, train_steps, tmp_path
):
    options = adapter_method(method).with_head({}, ["lm_head"])
    model = attach_adapter(make_model("gpt2"), method, options, Path(), 1)
    train_steps(model)
    save_adapter(model, method, tmp_path / "adapter")
    merged = adapter_method(method).merge(load_adapter(make_model("gpt2"), tmp_path / "adapter"))
    again = reloaded(merged, tmp_path / "merged")
    assert torch.allclose(logits(again), logits(model), atol=1e-4)
    assert again.config.tie_word_embeddings is False
    assert not torch.equal(again.lm_head.weight, again.transformer.wte.weight)
    assert torch.equal(again.transformer.wte.weight, make_model("gpt2").transformer.wte.weight)


def test_a_head_that_is_written_already_is_named_once():
    written = {"modules_to_save": ["lm_head"], "r": 4}
    assert adapter_method("lora").with_head(written, ["lm_head"]) == written
    assert adapter_method("lora").with_head({}, ["lm_head"]) == {"modules_to_save": ["lm_head"]}


def test_a_method_of_peft_that_trains_no_module_of_the_base_cannot_train_the_head():
    with pytest.raises(
        UserError, match="adaption_prompt trains no module of the base, which the output head is; leave"
    ):
        adapter_method("adaption_prompt").with_head({}, ["lm_head"])
    assert adapter_method("ia3").with_head({}, ["lm_head"]) == {"modules_to_save": ["lm_head"]}
