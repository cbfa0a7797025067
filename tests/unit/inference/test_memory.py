from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.memory import Sizes, batch_limits

DEMO = Sizes(vocabulary=49152, hidden=576, intermediate=1536, layers=30)
GIB = 1 << 30


def config(task_type: str = "classification", **inference: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "dataset": {"path": "x", "task_type": task_type, "shots": 0},
            "model": {"name": "m"},
            "prompting": {"input_columns": ["text"], "output_column": "label"},
            "inference": inference,
        }
    )


@pytest.mark.parametrize(
    ("device", "memory", "tokens"),
    [("cpu", 24 * GIB, 512), ("cpu", None, 512), ("cpu", GIB, 128), ("cuda", 80 * GIB, 4096), ("cpu", 1 << 20, 32)],
)
def test_an_automatic_size_is_a_power_of_two_by_memory(device: str, memory: int | None, tokens: int) -> None:
    assert batch_limits(config(), 0, DEMO, device, memory) == PassLimits(tokens, None)


def test_each_step_halves_what_runs_at_once_and_the_last_is_none() -> None:
    found = [batch_limits(config(), step, DEMO, "cpu", None) for step in range(6)]
    assert [limits and limits.tokens for limits in found] == [512, 256, 128, 64, 32, None]
    written = [batch_limits(config(batch_size=5), step, DEMO, "cpu", None) for step in range(4)]
    assert [limits and limits.rows for limits in written] == [5, 2, 1, 1]


def test_generation_has_rows_of_its_own_and_sampling_always_the_same() -> None:
    written = [batch_limits(config("generation", **args), 0, DEMO, device, None) for args, device in GENERATIONS]
    assert [limits and limits.rows for limits in written] == [8, 32, 3, 8, 3]


SAMPLING = {"generation_args": {"do_sample": True}}
GENERATIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "cpu"),
    ({}, "cuda"),
    ({"batch_size": 3}, "cuda"),
    (SAMPLING, "cuda"),
    ({**SAMPLING, "batch_size": 3}, "cuda"),
]


def test_sizes_go_by_the_names_that_models_use() -> None:
    class Gpt2:
        vocab_size, n_embd, n_layer, n_inner = 50257, 768, 12, None

    assert Sizes.of(Gpt2()) == Sizes(50257, 768, 3072, 12)
