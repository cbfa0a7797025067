"""Which stages can be tried with less memory; torch is not needed to know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.pipeline.memory import has_memory_step
from sft.runs.records import JobRecord

Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def count(project: Path, raw: Raw, plan_of: Callable[..., Any]) -> Callable[..., int]:
    """How many steps a stage of a config has."""

    def steps(stage: Any, *patches: dict[str, Any]) -> int:
        config = plan_of(project, a=raw(*patches)).experiments[0].experiment.resolved_config()
        record = JobRecord(stage, "0" * 16, "a", config, str(project), {})
        found = [has_memory_step(record, step) for step in range(12)]
        assert found == sorted(found, reverse=True), "no step is left out"
        return sum(found) - 1

    return steps


def test_training(count):
    assert count("train") == 4, "gradient checkpointing, 4, 2, 1 of the library's 8"
    args = {"per_device_train_batch_size": 1, "gradient_checkpointing": True}
    assert count("train", {"training": {"trainer_args": args}}) == 0
    assert count("train", {"training": ...}) == 4


def test_inference(count, generation):
    assert count("infer") == 4, "an automatic size is halved four times"
    assert count("infer", {"inference": {"batch_size": 1}}) == 4, "its tokens are halved, whatever the rows"
    assert count("infer", generation, {"inference": {"batch_size": 6}}) == 2
    assert count("infer", generation, {"inference": {"batch_size": 1}}) == 0
    assert count("infer", generation) == 4


def test_texts_drawn_at_random_depend_on_the_batch_and_have_none(count, generation):
    drawn = {"inference": {"generation_args": {"do_sample": True}}}
    assert count("infer", generation, drawn) == 0
    assert count("infer", drawn) == 4, "labels are scored and not drawn"


def test_an_evaluation_loads_no_model(count):
    assert count("evaluate") == 0
