"""What of a model with a head is new, where its head is, and how its outputs are named."""

from types import SimpleNamespace
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.models.answering.heads import (
    head_names,
    is_within,
    keep_plain,
    label_order,
    new_head,
    note_new_parts,
    say_padding,
    unused_by_head,
)
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.objectives.sequence_head import OBJECTIVE as SEQUENCE_HEAD
from tests.support.tiny_models import bert_head, gpt2_head, llama, llama_head

SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}


def made(name: str, **sizes: Any) -> Any:
    import transformers

    config = getattr(transformers, f"{name}Config")(**(sizes or SIZES), pad_token_id=0)
    return getattr(transformers, f"{name}ForSequenceClassification")(config)


def test_the_parts_of_a_head_by_the_names_of_the_model() -> None:
    small = {"dim": 16, "hidden_dim": 16, "n_layers": 1, "n_heads": 2, "vocab_size": 9}
    assert head_names(made("DistilBert", **small)) == ["pre_classifier", "classifier"]
    assert head_names(made("Roberta")) == ["classifier"]
    assert head_names(made("ModernBert")) == ["head", "classifier"]
    assert head_names(made("DebertaV2")) == ["pooler", "classifier"]
    assert head_names(llama_head()) == head_names(gpt2_head()) == ["score"]
    assert head_names(llama()) == ["lm_head"]
    with pytest.raises(UserError, match="LlamaModel has no output head"):
        head_names(llama().model)


def test_a_pooler_that_no_file_holds_is_new_with_the_head() -> None:
    model = bert_head()
    missing = ["classifier.weight", "bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    assert note_new_parts(model, missing) == []
    assert head_names(model) == ["classifier", "bert.pooler"]
    layer = "bert.encoder.layer.0.output.dense.weight"
    assert note_new_parts(model, [*missing, layer]) == [layer]
    assert is_within("bert.pooler.dense", head_names(model))
    assert not is_within("bert.pooler2", head_names(model))


def test_heads_of_other_objectives_are_left_out_and_weights_of_the_body_are_not() -> None:
    names = ["cls.predictions.bias", "lm_head.weight", "bert.encoder.layer.9.output.dense.weight"]
    assert unused_by_head(bert_head(), names) == names[2:]


def test_a_new_head_has_the_labels_in_their_order_and_weights_of_its_seed() -> None:
    import torch

    told = {"model_type": "bert", "architectures": ["BertForMaskedLM"]}
    drawn = []
    for seed in (3, 3, 4):
        head = new_head(told, SEQUENCE_HEAD, ["b", "a"], seed)
        drawn.append(torch.rand(1).item())
    assert head == {"num_labels": 2, "id2label": {0: "b", 1: "a"}, "label2id": {"b": 0, "a": 1}}
    assert drawn[0] == drawn[1] != drawn[2]
    assert new_head({**told, "architectures": ["BertForSequenceClassification"]}, SEQUENCE_HEAD, ["a"], 3) == {}
    assert new_head(told, CAUSAL_LM, ["a"], 3) == {}


@pytest.mark.parametrize("written", [None, ["bert.encoder.layer.1"]])
def test_what_is_new_is_not_quantised(written: list[str] | None) -> None:
    quantization = SimpleNamespace(llm_int8_skip_modules=written)
    keep_plain(quantization, bert_head())
    assert quantization.llm_int8_skip_modules == [*(written or []), "classifier", "bert.pooler"]
    keep_plain(SimpleNamespace(), bert_head())


def test_labels_find_their_outputs_by_name() -> None:
    config = SimpleNamespace(id2label={0: "b", 1: "c", 2: "a"})
    assert label_order(config, ["a", "b", "c"]) == [2, 0, 1]
    with pytest.raises(UserError, match="answers with b, c, a, not with a, b"):
        label_order(config, ["a", "b"])


def test_padding_is_what_the_config_says_else_what_the_tokenizer_does() -> None:
    tokenizer = SimpleNamespace(pad_token_id=None, eos_token_id=7)
    model = llama_head()
    say_padding(model, tokenizer)
    assert model.config.pad_token_id == 0
    model.config.pad_token_id = None
    say_padding(model, tokenizer)
    assert model.config.pad_token_id == 7
