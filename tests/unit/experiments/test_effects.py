from collections.abc import Callable
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.experiments.effects import seed_has_effect, without_effect

Raw = Callable[..., dict[str, Any]]
NOTHING_TRAINED: dict[str, Any] = {"dataset": {"shots": 0}, "lora": ..., "training": ...}
GENERATION: dict[str, Any] = {"dataset": {"task_type": "generation"}}
ICL = {"inference": {"icl_examples": 1}}
SAMPLING = {"inference": {"generation_args": {"do_sample": True}}}


def _config(raw: Raw, *patches: dict[str, Any]) -> ExperimentConfig:
    return ExperimentConfig.model_validate(raw(*patches))


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        ([], []),
        ([{"dataset": {"shots": 0}}], ["training", "lora"]),
        ([NOTHING_TRAINED], []),
        ([NOTHING_TRAINED, {"adapter": {"method": "none"}}], []),
        ([NOTHING_TRAINED, {"adapter": {"method": "lora"}}], ["adapter"]),
        ([NOTHING_TRAINED, {"seeds": {"init": 1, "training": 1}}], ["seeds.init", "seeds.training"]),
        ([{"inference": {"random_icl": True}}], ["inference.random_icl"]),
        ([ICL, {"inference": {"random_icl": True}}], []),
        ([{"seeds": {"icl": 1}}], ["seeds.icl"]),
        ([{"seeds": {"icl": 1}}, ICL], []),
        ([{"seeds": {"icl": 1}}, {"training": {"icl_examples": 1}}], []),
        ([{"seeds": {"shots": 1}}], []),
        ([{"seeds": {"shots": 1}}, {"dataset": {"shots": "all"}}], ["seeds.shots"]),
        ([{"adapter": {"method": "none"}, "lora": ...}], ["training", "dataset.shots"]),
        ([{"adapter": {"method": "none"}, "lora": ..., "training": ...}, ICL], []),
        ([SAMPLING], ["inference.generation_args"]),
        ([{"prompting": {"max_output_length": 3}}], ["prompting.max_output_length"]),
        ([GENERATION, SAMPLING, {"prompting": {"max_output_length": 3}}], []),
        ([GENERATION, {"dataset": {"labels": ["a"]}}], ["dataset.labels"]),
        ([{"dataset": {"max_n_dev": 3}}], ["dataset.max_n_dev"]),
        ([{"dataset": {"max_n_dev": 3, "splits": {"dev": "dev"}}}], []),
        ([{"evaluation": {"tokenizer_name": "model"}}], ["evaluation.tokenizer_name"]),
        ([GENERATION, {"evaluation": {"tokenizer_name": "model"}}], []),
    ],
)
def test_written_keys_that_change_nothing_are_listed(
    raw: Raw, patches: list[dict[str, Any]], expected: list[str]
) -> None:
    assert without_effect(_config(raw, *patches)) == expected


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        ([], True),
        ([NOTHING_TRAINED], False),
        ([NOTHING_TRAINED, ICL], True),
        ([NOTHING_TRAINED, {"dataset": {"shots": 4}}], False),
        ([NOTHING_TRAINED, SAMPLING], False),
        ([NOTHING_TRAINED, GENERATION, SAMPLING], True),
        ([NOTHING_TRAINED, GENERATION], False),
    ],
)
def test_whether_a_seed_has_effect(raw: Raw, patches: list[dict[str, Any]], expected: bool) -> None:
    assert seed_has_effect(_config(raw, *patches)) is expected
