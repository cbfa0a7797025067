"""How much of a model's context an adapter of virtual tokens takes, known before it is there."""

import json
from pathlib import Path
from typing import Any

import pytest

from sft.adapters.virtual_tokens import context_left, planned_virtual_tokens
from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError

SECTIONS: dict[str, Any] = {
    "dataset": {"path": "data.csv", "task_type": "classification", "shots": 4},
    "prompting": {"input_columns": ["text"], "output_column": "label"},
}


def config_of(adapter: dict[str, Any] | None, trained: str | None = None, shots: int = 4) -> ExperimentConfig:
    model = {"name": "m"} | ({} if trained is None else {"adapter": trained})
    dataset = SECTIONS["dataset"] | {"shots": shots}
    return ExperimentConfig.model_validate(SECTIONS | {"dataset": dataset, "model": model, "adapter": adapter})


@pytest.mark.parametrize(
    ("adapter", "shots", "expected"),
    [
        ({"method": "prompt_tuning", "num_virtual_tokens": 7}, 4, 7),
        ({"method": "prompt_tuning"}, 4, 20),
        ({"method": "prompt_tuning", "num_virtual_tokens": None}, 4, 20),
        ({"method": "prompt_tuning", "num_virtual_tokens": 7}, 0, 0),
        ({"method": "lora", "r": 4}, 4, 0),
        (None, 4, 0),
    ],
)
def test_of_an_adapter_that_is_trained(tmp_path: Path, adapter: Any, shots: int, expected: int):
    assert planned_virtual_tokens(config_of(adapter, shots=shots), tmp_path) == expected


@pytest.mark.parametrize(("saved", "expected"), [({"num_virtual_tokens": 9}, 9), ({"r": 8}, 0)])
def test_of_a_trained_adapter(tmp_path: Path, saved: dict[str, Any], expected: int):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(saved))
    (tmp_path / "adapter" / "adapter_model.safetensors").touch()
    assert planned_virtual_tokens(config_of(None, "adapter"), tmp_path) == expected


def test_of_an_adapter_that_is_no_folder_of_peft(tmp_path: Path):
    (tmp_path / "adapter").mkdir()
    assert planned_virtual_tokens(config_of(None, "adapter"), tmp_path) == 0


def test_what_is_left_of_the_context():
    assert (context_left(None, 20), context_left(64, 0), context_left(64, 20)) == (None, 64, 44)
    with pytest.raises(UserError, match="64 virtual tokens leave nothing of the model's context of 64 tokens"):
        context_left(64, 64)
