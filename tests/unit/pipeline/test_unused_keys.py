from collections.abc import Callable
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.pipeline.needed_rows import seed_has_effect
from sft.pipeline.unused_keys import without_effect

Raw = Callable[..., dict[str, Any]]
NOTHING_TRAINED: dict[str, Any] = {"dataset": {"shots": 0}, "lora": ..., "training": ...}
GENERATION: dict[str, Any] = {"dataset": {"task_type": "generation"}}
ICL = {"inference": {"icl_examples": 1}}
NEAREST = {"inference": {"icl_selection": "nearest"}}
ENCODER = {"inference": {"icl_encoder": "some/encoder"}}
BASELINE = {"evaluation": {"baseline_encoder": "some/encoder"}}
TRAIN_NEAREST = {"training": {"icl_selection": "nearest", "icl_encoder": "some/encoder"}}
POOL_ONLY: dict[str, Any] = {"adapter": {"method": "none"}, "lora": ..., "training": ...}
TOTAL = {"dataset": {"shots_by": "total"}}
BALANCED = {"training": {"class_weights": "balanced"}}
SAMPLING = {"inference": {"generation_args": {"do_sample": True}}}


def _calibration(name: str, **options: Any) -> dict[str, Any]:
    return {"inference": {"calibration_args": {"calibration_fn": name, **options}}}


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
        ([ICL, NEAREST, {"inference": {"random_icl": True}}], ["inference.random_icl"]),
        ([NEAREST, ENCODER], ["inference.icl_selection", "inference.icl_encoder"]),
        ([ICL, NEAREST, ENCODER], []),
        ([ICL, ENCODER], ["inference.icl_encoder"]),
        ([{"inference": {"icl_selection": "random"}}], []),
        ([TRAIN_NEAREST], ["training.icl_selection", "training.icl_encoder"]),
        ([TRAIN_NEAREST, {"training": {"icl_examples": 1}}], []),
        ([TRAIN_NEAREST, {"training": {"icl_selection": "random", "icl_examples": 1}}], ["training.icl_encoder"]),
        ([TRAIN_NEAREST, {"dataset": {"shots": 0}}], ["training", "lora"]),
        ([{"seeds": {"icl": 1}}, ICL, NEAREST], []),
        ([{"seeds": {"icl": 1}}, ICL, NEAREST, GENERATION], ["seeds.icl"]),
        ([{"seeds": {"icl": 1}}, ICL, NEAREST, GENERATION, {"training": {"icl_examples": 1}}], []),
        ([{"seeds": {"icl": 1}}], ["seeds.icl"]),
        ([{"seeds": {"icl": 1}}, ICL], []),
        ([{"seeds": {"icl": 1}}, {"training": {"icl_examples": 1}}], []),
        ([{"seeds": {"shots": 1}}], []),
        ([BASELINE], []),
        ([BASELINE, GENERATION], ["evaluation.baseline_encoder"]),
        ([BASELINE, NOTHING_TRAINED], ["evaluation.baseline_encoder"]),
        ([BASELINE, NOTHING_TRAINED, ICL, {"dataset": {"shots": 2}}], []),
        ([TOTAL], []),
        ([TOTAL, GENERATION], ["dataset.shots_by"]),
        ([TOTAL, {"dataset": {"shots": "all"}}], ["dataset.shots_by"]),
        ([TOTAL, NOTHING_TRAINED], ["dataset.shots_by"]),
        ([BALANCED], ["training.class_weights"]),
        ([BALANCED, TOTAL], []),
        ([BALANCED, TOTAL, GENERATION], ["training.class_weights", "dataset.shots_by"]),
        ([BALANCED, {"dataset": {"shots": 0}}], ["training", "lora"]),
        ([{"seeds": {"shots": 1}}, {"dataset": {"shots": "all"}}], ["seeds.shots"]),
        ([{"adapter": {"method": "none"}, "lora": ...}], ["training", "dataset.shots"]),
        ([{"adapter": {"method": "none"}, "lora": ..., "training": ...}, ICL], []),
        ([SAMPLING], ["inference.generation_args"]),
        ([{"prompting": {"max_output_length": 3}}], ["prompting.max_output_length"]),
        ([GENERATION, SAMPLING, {"prompting": {"max_output_length": 3}}], []),
        ([GENERATION, {"dataset": {"labels": ["a"]}}], ["dataset.labels"]),
        ([_calibration("none")], []),
        ([_calibration("contextual", per_row=True)], ["inference.calibration_args.per_row"]),
        ([_calibration("contextual", per_row=True), ICL, {"inference": {"random_icl": True}}], []),
        ([_calibration("contextual", per_row=False)], []),
        ([GENERATION, _calibration("none")], []),
        ([GENERATION, _calibration("contextual", per_row=True)], ["inference.calibration_args"]),
        (
            [GENERATION, {"inference": {"label_scoring": {"normalization": "mean", "end_token": False}}}],
            ["inference.label_scoring.normalization", "inference.label_scoring.end_token"],
        ),
        ([{"inference": {"label_scoring": {"normalization": "mean"}}}], []),
        ([POOL_ONLY, _calibration("batch")], ["dataset.shots"]),
        ([POOL_ONLY, _calibration("temperature"), {"seeds": {"shots": 1}}], []),
        ([POOL_ONLY, _calibration("domain")], []),
        ([POOL_ONLY, _calibration("mine.py:f")], []),
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
        ([NOTHING_TRAINED, ICL, NEAREST], True),
        ([NOTHING_TRAINED, ICL, GENERATION], True),
        ([NOTHING_TRAINED, ICL, NEAREST, GENERATION], False),
        ([NOTHING_TRAINED, ICL, NEAREST, GENERATION, {"dataset": {"shots": "all"}}], False),
        ([NOTHING_TRAINED, ICL, NEAREST, GENERATION, {"dataset": {"shots": 4}}], True),
        ([NOTHING_TRAINED, {"dataset": {"shots": 4}}], False),
        ([NOTHING_TRAINED, SAMPLING], False),
        ([NOTHING_TRAINED, GENERATION, SAMPLING], True),
        ([NOTHING_TRAINED, GENERATION], False),
        ([POOL_ONLY, _calibration("temperature")], True),
        ([POOL_ONLY, _calibration("contextual")], False),
        ([NOTHING_TRAINED, _calibration("temperature")], False),
    ],
)
def test_whether_a_seed_has_effect(raw: Raw, patches: list[dict[str, Any]], expected: bool) -> None:
    assert seed_has_effect(_config(raw, *patches)) is expected
