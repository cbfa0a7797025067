"""The last blocks, the final norm and the head are trained, and nothing before them moves."""

from pathlib import Path

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.method import adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

METHOD = adapter_method("last_layer")


def test_only_what_lies_nearest_to_the_output_moves(make_model, train_steps, logits, tmp_path):
    model = attach_adapter(make_model("gpt2"), "last_layer", {}, Path(), 1)
    train_steps(model)
    base = make_model("gpt2").state_dict()
    moved = {name for name, weight in model.state_dict().items() if not torch.equal(weight, base[name])}
    last = {name for name in base if name.startswith(("transformer.h.1.", "transformer.ln_f.", "lm_head."))}
    assert moved == last
    save_adapter(model, "last_layer", tmp_path / "adapter")
    assert torch.equal(logits(load_adapter(make_model("gpt2"), tmp_path / "adapter")), logits(model))


def test_a_saved_adapter_of_unknown_options_is_told_in_one_line(make_model, tmp_path):
    save_adapter(attach_adapter(make_model("fp32"), "last_layer", {}, Path(), 1), "last_layer", tmp_path / "adapter")
    file = tmp_path / "adapter" / "method.json"
    file.write_text(file.read_text().replace('"blocks": 1', '"blocks": "all"'))
    with pytest.raises(
        UserError, match=r"method.json has values that last_layer does not know: blocks; train it anew"
    ):
        load_adapter(make_model("fp32"), tmp_path / "adapter")


def test_more_blocks_than_there_are_is_told_by_the_plan_and_by_the_stage(make_model):
    config = {"num_hidden_layers": 2}
    assert METHOD.check_on_model({"blocks": 2}, config) == []
    ((path, message),) = METHOD.check_on_model({"blocks": 3}, config)
    assert (path, message.partition(";")[0]) == ("blocks", "3: the model has 2 blocks")
    assert METHOD.check_on_model({"blocks": 3}, {}) == []
    with pytest.raises(UserError, match=r"adapter.blocks is 3: the model has 2 blocks; write 2 or less"):
        attach_adapter(make_model("fp32"), "last_layer", {"blocks": 3}, Path(), 1)


@pytest.mark.parametrize("blocks", [-1, True, "1", 1.5])
def test_a_number_of_blocks_is_a_whole_number_from_0(blocks):
    ((path, message),) = METHOD.check({"blocks": blocks}, Path())
    assert path == "blocks"
    assert repr(blocks) in message


def test_of_a_quantised_base_the_norm_and_the_head_alone_can_be_trained(make_model):
    reason = METHOD.supports({}, "nf4", CAUSAL_LM)
    assert reason is not None
    assert "blocks: 0" in reason
    assert METHOD.supports({"blocks": 0}, "nf4", CAUSAL_LM) is None
    with pytest.raises(UserError, match=r"last_layer would train model.layers.1.self_attn.q_proj"):
        attach_adapter(make_model("nf4"), "last_layer", {}, Path(), 1)
    model = attach_adapter(make_model("nf4"), "last_layer", {"blocks": 0}, Path(), 1)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained == ["model.norm.weight", "lm_head.weight"]
