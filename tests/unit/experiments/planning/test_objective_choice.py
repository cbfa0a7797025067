"""How a model answers follows from its kind; what the objective does not read is dropped and told."""

from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError
from sft.experiments.planning.objective_choice import ChosenObjective, with_objective

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
BERT = {"model_type": "bert", "architectures": ["BertModel"]}
T5 = {"model_type": "t5", "is_encoder_decoder": True}
HEAD, PAIR = "AutoModelForSequenceClassification", "AutoModelForSeq2SeqLM"


def chosen(told: dict[str, Any], task_type: str = "classification", **sections: dict[str, Any]) -> ChosenObjective:
    written = {
        "dataset": {"path": "rows.csv", "task_type": task_type, "shots": 2},
        "prompting": {"input_columns": ["text"], "output_column": "label"} | sections.pop("prompting", {}),
        "model": {"name": "model"} | sections.pop("model", {}),
        "lora": {},
        **sections,
    }
    return with_objective(ExperimentConfig.model_validate(written), Path(), lambda name, revision: told)


@pytest.mark.parametrize(
    ("told", "task_type", "auto_class"),
    [
        (LLAMA, "classification", None),
        (BERT, "classification", HEAD),
        (T5, "classification", PAIR),
        (BERT | {"is_decoder": True}, "classification", None),
        ({"model_type": "modernbert"}, "classification", HEAD),
        ({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}, "classification", HEAD),
        (BERT, "multilabel", HEAD),
        (LLAMA, "summarization", None),
        (T5, "summarization", PAIR),
        ({}, "classification", None),
        ({"model_type": "of_tomorrow"}, "summarization", None),
    ],
)
def test_the_auto_class_follows_from_the_kind_of_model(
    told: dict[str, Any], task_type: str, auto_class: str | None
) -> None:
    assert chosen(told, task_type).config.model.auto_class == auto_class


def test_a_written_class_wins_and_that_of_decoders_is_as_none() -> None:
    assert chosen(LLAMA, model={"auto_class": HEAD}).config.model.auto_class == HEAD
    assert chosen(LLAMA, model={"auto_class": "AutoModelForCausalLM"}) == chosen(LLAMA)


@pytest.mark.parametrize(
    ("told", "auto_class", "task_type", "words"),
    [
        (BERT, "AutoModelForCausalLM", "classification", ("of type bert", "causal_lm takes decoders", HEAD)),
        (LLAMA, PAIR, "classification", ("of type llama", "encoders with a decoder", "AutoModelForCausalLM")),
        (BERT, HEAD, "generation", (HEAD, "generation")),
        (LLAMA, "AutoModelForSequenceClasification", "classification", (HEAD,)),
    ],
)
def test_a_class_that_does_not_go_with_model_or_task_is_refused(
    told: dict[str, Any], auto_class: str, task_type: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as refused:
        chosen(told, task_type, model={"auto_class": auto_class})
    assert [word for word in words if word not in str(refused.value)] == []


def test_what_a_head_does_not_read_is_dropped_and_told() -> None:
    found = chosen(
        BERT,
        prompting={"instruction": "Say it.", "max_input_length": 9},
        training={"icl_examples": 2, "last_layer": True, "class_weights": "balanced"},
        inference={
            "icl_examples": 1,
            "prompting": {"instruction": "Or so.", "input_template": "{text}!"},
            "label_scoring": {"normalization": "mean"},
            "calibration_args": {"calibration_fn": "contextual"},
        },
    )
    assert sorted(found.dropped) == [
        "inference.calibration_args",
        "inference.icl_examples",
        "inference.label_scoring",
        "inference.prompting.instruction",
        "prompting.instruction",
        "training.icl_examples",
        "training.last_layer",
    ]
    kept = chosen(
        BERT,
        prompting={"max_input_length": 9},
        training={"class_weights": "balanced"},
        inference={"prompting": {"input_template": "{text}!"}},
    )
    assert kept.dropped == ()
    assert found.config.resolved() == kept.config.resolved()


def test_calibration_by_scores_stays_with_a_head() -> None:
    calibrated = {"calibration_args": {"calibration_fn": "temperature"}}
    assert chosen(BERT, inference=calibrated).config.calibration == "temperature"


def test_a_default_that_is_written_is_not_told() -> None:
    assert chosen(BERT, inference={"icl_examples": 0}, prompting={"format": "auto"}).dropped == ()
