"""How many GPUs a stage asks for."""

from typing import Any

import pytest

from sft.pipeline.gpus import gpus_needed


@pytest.mark.parametrize(
    ("stage", "config", "there", "asked"),
    [
        ("train", {}, 0, 0),
        ("train", {}, 4, 1),
        ("infer", {"resources": {"gpus": None}}, 4, 1),
        ("infer", {"resources": {"gpus": 2}}, 1, 2),
        ("train", {"resources": {"gpus": 0}}, 4, 0),
        ("train", {"model": {"model_args": {"parallelize": True}}}, 4, 4),
        ("train", {"model": {"model_args": {"parallelize": True}}, "resources": {"gpus": 2}}, 4, 2),
        ("evaluate", {"resources": {"gpus": 2}}, 4, 0),
        ("evaluate", {"evaluation": {"metrics": ["accuracy", "rougeL"]}}, 4, 0),
        ("evaluate", {"evaluation": {"metrics": ["rougeL", "bertscore"]}}, 4, 1),
        ("evaluate", {"evaluation": {"metrics": ["bleurt"]}, "resources": {"gpus": 2}}, 4, 1),
        ("evaluate", {"evaluation": {"metrics": ["mauve"]}}, 4, 0),
        ("evaluate", {"evaluation": {"metrics": ["bertscore"]}, "resources": {"gpus": 0}}, 4, 0),
        ("evaluate", {"evaluation": {"metrics": ["bertscore"]}}, 0, 0),
        ("evaluate", {"evaluation": {"metrics": None}}, 4, 0),
    ],
)
def test_how_many_gpus_a_stage_asks_for(stage: Any, config: dict[str, Any], there: int, asked: int) -> None:
    assert gpus_needed(stage, config, there) == asked
