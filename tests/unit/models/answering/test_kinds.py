"""What kind a model is of, and whether its checkpoint has a head, by its config.json alone."""

from typing import Any

import pytest

from sft.models.answering.kinds import has_own_head, head_fault, model_kind, own_labels
from sft.objectives.sequence_head import OBJECTIVE as SEQUENCE_HEAD

OWN = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
KINDS: list[tuple[dict[str, Any], str | None]] = [
    ({"model_type": "bert"}, "encoder"),
    ({"model_type": "bert", "is_decoder": True}, "decoder"),
    ({"model_type": "roberta"}, "encoder"),
    ({"model_type": "distilbert"}, "encoder"),
    ({"model_type": "deberta-v2"}, "encoder"),
    ({"model_type": "modernbert"}, "encoder"),
    ({"model_type": "xlnet"}, "encoder"),
    ({"model_type": "llama"}, "decoder"),
    ({"model_type": "llama", "is_decoder": False}, "encoder"),
    ({"model_type": "gpt2"}, "decoder"),
    ({"model_type": "gpt_neox", "is_decoder": False}, "decoder"),
    ({"model_type": "t5"}, "encoder_decoder"),
    ({"model_type": "bart", "is_encoder_decoder": True}, "encoder_decoder"),
    ({"model_type": "marian", "is_encoder_decoder": True}, "encoder_decoder"),
    ({"model_type": "of_my_own"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("told", "kind"), KINDS, ids=str)
def test_the_kind_of_a_model(told: dict[str, Any], kind: str | None) -> None:
    assert model_kind(told) == kind


def test_a_checkpoint_has_the_head_that_its_architecture_names() -> None:
    assert has_own_head(OWN, SEQUENCE_HEAD)
    assert not has_own_head({**OWN, "architectures": ["BertForMaskedLM"]}, SEQUENCE_HEAD)
    assert not has_own_head({"model_type": "bert"}, SEQUENCE_HEAD)


def test_labels_are_those_of_the_outputs_in_their_order() -> None:
    assert own_labels({"id2label": {"10": "k", "2": "c", "0": "a"}}) == ["a", "c", "k"]
    assert own_labels({}) == own_labels({"id2label": {"first": "a"}}) == []


def test_a_head_answers_with_its_own_labels_in_whatever_order() -> None:
    told = {**OWN, "id2label": {"0": "no", "1": "yes"}}
    assert head_fault(told, SEQUENCE_HEAD, ["yes", "no"]) is None
    assert head_fault({"model_type": "bert"}, SEQUENCE_HEAD, ["a"]) is None
    said = head_fault(told, SEQUENCE_HEAD, ["yes", "maybe"])
    assert said is not None
    assert said.startswith("its head answers with 'no', 'yes', and the labels of the data are 'yes', 'maybe'; ")
    assert "labels that its config.json does not name" in (head_fault(OWN, SEQUENCE_HEAD, ["a"]) or "")
